"""The picture of an ablation: every metric of every task over what is varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from a2sb_core.cli.evaluation_figures import COLOURS

WIDTH, HEIGHT = 3.4, 2.9
"""Inches of a panel."""


def draw(
    rows: Sequence[dict[str, Any]], axes: dict[str, list[str]], arrows: dict[str, str], path: Path
) -> Path:
    """Draw a panel for each task and metric.

    The axis with the most values is drawn along x, to scale where all are numbers; there is a line
    for each combination of the others. A dashed line is the damaged audio.

    Args:
        rows: of :func:`a2sb_core.engine.ablation_report.rows_of`.
        axes: values by axis.
        arrows: which way is better, by metric.
        path: the PNG file to write.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    along = max(axes, key=lambda axis: (len(axes[axis]), _numbers(axes[axis]) is not None))
    size = (WIDTH * len(arrows), HEIGHT * len(tasks) + 0.5)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    panels = figure.subplots(len(tasks), len(arrows), squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for panel, (metric, arrow) in zip(line, arrows.items(), strict=True):
            own = [row for row in rows if row["task"] == task]
            _panel(panel, own, metric, along, axes[along])
            panel.set_title(f"{task}: {metric} {arrow}", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path)
    return path


def _panel(
    panel: Any, rows: Sequence[dict[str, Any]], metric: str, along: str, values: list[str]
) -> None:
    numbers = _numbers(values)
    places = dict(zip(values, numbers or range(len(values)), strict=True))
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        mean = row["metrics"][metric]["mean"]
        mean = math.nan if mean is None else mean
        if not row["choices"]:
            panel.axhline(mean, color="0.6", linestyle="--", label=row["system"])
            continue
        others = [f"{k}={v}" for k, v in row["choices"].items() if k != along]
        curves.setdefault(", ".join(others), []).append((places[row["choices"][along]], mean))
    for k, (label, points) in enumerate(curves.items()):
        style = "-" if numbers else ""
        x, y = zip(*sorted(points), strict=True)
        colour = COLOURS[k % len(COLOURS)]
        panel.plot(x, y, marker="o", linestyle=style, color=colour, label=label or along)
    panel.set_xticks(list(places.values()), list(places), fontsize=8)
    if not numbers:
        panel.set_xlim(-0.5, len(values) - 0.5)
    panel.set_xlabel(along, fontsize=8)
    panel.tick_params(axis="y", labelsize=8)
    panel.grid(alpha=0.25)


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
