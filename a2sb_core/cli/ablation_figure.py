"""The picture of an ablation: every metric of every task over what is varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from a2sb_core.cli.evaluation_figures import COLOURS

WIDTH, HEIGHT = 3.4, 2.9
"""Inches of a panel."""
VALUE_HEIGHT = 0.22
"""Inches of a value that is no number."""


def draw(
    rows: Sequence[dict[str, Any]], axes: dict[str, list[str]], arrows: dict[str, str], path: Path
) -> Path:
    """Draw a panel for each task and metric.

    The axis with the most values is drawn along x and to scale where all are numbers, else along
    y; there is a line for each combination of the others. A dashed line is the damaged audio.

    Args:
        rows: of :func:`a2sb_core.engine.ablation_report.rows_of`.
        axes: values by axis.
        arrows: which way is better, by metric.
        path: the PNG file to write.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    along = max(axes, key=lambda axis: (len(axes[axis]), _numbers(axes[axis]) is not None))
    is_scaled = _numbers(axes[along]) is not None
    height = HEIGHT if is_scaled else max(HEIGHT, 0.8 + VALUE_HEIGHT * len(axes[along]))
    size = (WIDTH * len(arrows), height * len(tasks) + 0.5)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    panels = figure.subplots(
        len(tasks), len(arrows), squeeze=False, sharey=False if is_scaled else "row"
    )
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
    curves, lines = _curves(rows, metric, along, places)
    for k, (label, points) in enumerate(curves.items()):
        at, means = zip(*sorted(points), strict=True)
        xy = (at, means) if numbers else (means, at)
        style = {"linestyle": "-" if numbers else "", "color": COLOURS[k % len(COLOURS)]}
        panel.plot(*xy, marker="o", label=label or along, **style)
    if numbers:
        panel.set_xticks(list(numbers), values, fontsize=8)
        panel.set_xlabel(along, fontsize=8)
    else:
        # What the cells differ in is to be seen: the damaged audio may lie far outside.
        panel.set_xlim(*panel.get_xlim())
        panel.set_ylim(len(values) - 0.5, -0.5)
        panel.set_yticks(range(len(values)), values, fontsize=8)
    for label, mean in lines.items():
        draw_line = panel.axhline if numbers else panel.axvline
        draw_line(mean, color="0.6", linestyle="--", label=label)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25)


Curves = dict[str, list[tuple[float, float]]]


def _curves(
    rows: Sequence[dict[str, Any]], metric: str, along: str, places: dict[str, Any]
) -> tuple[Curves, dict[str, float]]:
    """Return (place, mean) of the cells by what else is varied, and the mean of the others."""
    curves: Curves = {}
    lines: dict[str, float] = {}
    for row in rows:
        mean = row["metrics"][metric]["mean"]
        mean = math.nan if mean is None else mean
        if not row["choices"]:
            lines[row["system"]] = mean
            continue
        others = [f"{k}={v}" for k, v in row["choices"].items() if k != along]
        curves.setdefault(", ".join(others), []).append((places[row["choices"][along]], mean))
    return curves, lines


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
