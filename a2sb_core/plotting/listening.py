"""Pictures of listening tests, as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from a2sb_core.evaluation.statistics import LEVEL
from a2sb_core.listening.design import ANCHOR, REFERENCE, SCALES
from a2sb_core.listening.reports import ListeningReport
from a2sb_core.plotting.evaluation import COLOURS

WIDTH, LINE = 7.0, 0.36
"""Width of the picture and height of the line of a system, in inches."""


def draw_listening(report: ListeningReport, path: Path) -> Path:
    """Draw the mean opinion scores, or the proportions of correct ABX answers, with intervals.

    Each task has a panel, and each system or pair a line.
    """
    from matplotlib.figure import Figure

    points = _points(report)
    counts = [len(lines) for lines in points.values()]
    figure = Figure(
        figsize=(WIDTH, LINE * sum(counts) + 0.9 * len(counts) + 0.3), dpi=110, layout="constrained"
    )
    panels = figure.subplots(
        len(points), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": counts}
    )[:, 0]
    for panel, (task, lines) in zip(panels, points.items(), strict=True):
        _panel(panel, task, lines)
        if report.test.kind == "abx":
            panel.axvline(0.5, color="0.4", linestyle="--", linewidth=1)
    low, high = SCALES.get(report.test.kind, (0.0, 1.0))
    margin = 0.02 * (high - low)
    panels[-1].set_xlim(low - margin, high + margin)
    what = "proportion correct" if report.test.kind == "abx" else "mean opinion score"
    panels[-1].set_xlabel(f"{what}, with {LEVEL:.0%} interval")
    figure.savefig(path)
    return path


Point = tuple[str, float, tuple[float, float] | None]


def _points(report: ListeningReport) -> dict[str, list[Point]]:
    """Return the name, the value and the interval of each line, by task."""
    points: dict[str, list[Point]] = {}
    for one in report.opinions:
        points.setdefault(one.task, []).append((one.system, one.mean, one.interval))
    for pair in report.recognitions:
        line = (f"{pair.first} / {pair.second}", pair.proportion, pair.interval)
        points.setdefault(pair.task, []).append(line)
    return points


def _panel(panel: Any, task: str, lines: list[Point]) -> None:
    names = [name for name, _, _ in lines]
    k = 0
    for place, (name, value, interval) in enumerate(lines):
        low, high = interval or (value, value)
        is_control = name in (REFERENCE, ANCHOR)
        colour = "0.45" if is_control else COLOURS[k % len(COLOURS)]
        k += not is_control
        bars = [[max(0.0, value - low)], [max(0.0, high - value)]]
        panel.errorbar(value, place, xerr=bars, marker="o", capsize=3, color=colour)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_title(task, fontsize=10, loc="left")
    panel.grid(axis="x", alpha=0.25)
