"""Picture of an ablation: every metric of every task over the axes of the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from a2sb_core.plotting.evaluation import COLOURS

WIDTH, HEIGHT = 3.4, 2.9
"""Size of a panel, in inches."""
VALUE_HEIGHT = 0.22
"""Height of a line for a value that is no number, in inches."""


def draw(
    rows: Sequence[dict[str, Any]], axes: dict[str, list[str]], arrows: dict[str, str], path: Path
) -> Path:
    """Draw a panel for each task and metric.

    The axis with the most values is the x axis, to scale, if all its values are numbers, else the
    y axis. Each combination of the other axes has a line. A dashed line is the damaged audio. Bars
    are the intervals over seeds, if there are any.

    Args:
        rows: a row for each task and cell, as in :mod:`a2sb_core.ablation.report`.
        axes: the values of each axis, as texts.
        arrows: an arrow in the better direction for each metric.
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
        at, means, errors = zip(*sorted(points), strict=True)
        xy = (at, means) if numbers else (means, at)
        style = {"linestyle": "-" if numbers else "", "color": COLOURS[k % len(COLOURS)]}
        bars = {"yerr" if numbers else "xerr": errors if any(errors) else None}
        panel.errorbar(*xy, marker="o", capsize=2, label=label or along, **style, **bars)
    if numbers:
        panel.set_xticks(list(numbers), values, fontsize=8)
        panel.set_xlabel(along, fontsize=8)
    else:
        # The differences between cells must stay visible; the damaged audio may lie far outside.
        panel.set_xlim(*panel.get_xlim())
        panel.set_ylim(len(values) - 0.5, -0.5)
        panel.set_yticks(range(len(values)), values, fontsize=8)
    for label, mean in lines.items():
        draw_line = panel.axhline if numbers else panel.axvline
        draw_line(mean, color="0.6", linestyle="--", label=label)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25)


Curves = dict[str, list[tuple[float, float, float]]]
"""Place, mean and half of the interval of each point, by the label of its line."""


def _curves(
    rows: Sequence[dict[str, Any]], metric: str, along: str, places: dict[str, Any]
) -> tuple[Curves, dict[str, float]]:
    """Return the points of the cells by their values on the other axes, and other means."""
    curves: Curves = {}
    lines: dict[str, float] = {}
    for row in rows:
        mean = row["metrics"][metric]["mean"]
        mean = math.nan if mean is None else mean
        if not row["choices"]:
            lines[row["system"]] = mean
            continue
        others = [f"{k}={v}" for k, v in row["choices"].items() if k != along]
        low, high = row["metrics"][metric].get("mean_interval") or (mean, mean)
        point = (places[row["choices"][along]], mean, (high - low) / 2)
        curves.setdefault(", ".join(others), []).append(point)
    return curves, lines


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
