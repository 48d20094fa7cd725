"""Reports of an evaluation: tables in Markdown and CSV, and a summary in JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from a2sb_core.config.evaluation import DEGRADED
from a2sb_core.evaluation.runner import EvaluationReport
from a2sb_core.evaluation.statistics import LEVEL

SPEED = "x real time"
VALUES = "values.csv"
"""Table of values: clip, task, system, a column for each metric, and ``TIMES``."""
TIMES = ("audio_s", "seconds")
"""Duration of the clip, and time that its restoration took, in seconds."""
AUDIO_INDEX = Path("audio", "index.csv")
"""List of the kept audio: clip, task, system and file. The clean clip has no task and system."""


def write_report(
    report: EvaluationReport, rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """Write ``table.md``, ``values.csv`` and ``summary.json``; return their paths.

    If audio was kept, ``audio/index.csv`` lists it.

    Args:
        report: result of the evaluation.
        rows: its summary, from :func:`a2sb_core.evaluation.statistics.summarize`.
        folder: an existing folder.
    """
    paths = [folder / name for name in ("table.md", VALUES, "summary.json")]
    paths[0].write_text(markdown(report, rows), encoding="utf8")
    write_csv(paths[1], _value_lines(report))
    summary = {
        "clips": report.clips,
        "reference": report.reference,
        "interval_level": LEVEL,
        "rows": rows,
        "skipped": report.skipped(),
        "failures": [vars(failure) for failure in report.failures],
    }
    paths[2].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf8")
    if report.audio:
        paths.append(folder / AUDIO_INDEX)
        write_csv(paths[-1], _audio_lines(report, folder))
    return paths


def markdown(report: EvaluationReport, rows: Sequence[dict[str, Any]]) -> str:
    """Return the tables as Markdown: means, then differences to the reference."""
    parts = [
        caption(report),
        table(heads(report, SPEED), [mean_cells(report, rows, row) for row in rows]),
    ]
    compared = [row for row in rows if row["system"] != report.reference]
    if compared:
        parts += [
            f"Differences to `{report.reference}` clip by clip: mean, and {LEVEL:.0%} bootstrap "
            "interval.",
            table(heads(report), [difference_cells(report, row) for row in compared]),
        ]
    if skipped := report.skipped():
        parts += ["Not done:", bullets(skipped)]
    if report.failures:
        parts += ["Failed:", bullets(report.failures)]
    return "\n\n".join(parts) + "\n"


def caption(report: EvaluationReport, more: str = "") -> str:
    """Return the line above a table of means, which are over the clips and over ``more``."""
    clips = f"{len(report.clips)} clip{'s' * (len(report.clips) != 1)}{more}"
    return f"Means over {clips}; arrows show which way is better, the best of a task is in bold."


def heads(report: EvaluationReport, *more: str) -> list[str]:
    """Return the heads of a table: task, system, metrics with arrows, and ``more``."""
    return ["task", "system", *(metric.title for metric in report.metrics), *more]


def mean_cells(
    report: EvaluationReport, rows: Sequence[dict[str, Any]], row: dict[str, Any]
) -> list[str]:
    """Return a line of the table of means: task, system, metrics, and speed over real time."""
    same_task = [other for other in rows if other["task"] == row["task"]]
    cells = [row["task"], row["system"]]
    for metric in report.metrics:
        means = [other["metrics"][metric.label]["mean"] for other in same_task]
        known = [mean for mean in means if mean is not None]
        best = (max if metric.metric.higher_is_better else min)(known, default=None)
        summary = row["metrics"][metric.label]
        text = format_number(summary["mean"])
        is_best = len(known) > 1 and text == format_number(best) != "-"
        text = f"**{text}**" if is_best else text
        cells.append(text + _in_brackets(summary.get("mean_interval")))
    speed = row["audio_seconds_per_second"]
    return [*cells, "-" if row["system"] == DEGRADED else f"{speed:.3g}"]


def _in_brackets(interval: Sequence[float] | None, signed: bool = False) -> str:
    if interval is None:
        return ""
    low, high = (format_number(value, signed) for value in interval)
    return f" ({low} to {high})"


def difference_cells(report: EvaluationReport, row: dict[str, Any]) -> list[str]:
    """Return a line of the table of differences: task, system, and metrics with intervals."""
    cells = [row["task"], row["system"]]
    for metric in report.metrics:
        summary = row["metrics"][metric.label]
        text = format_number(summary.get("difference"), signed=True)
        cells.append(text + _in_brackets(summary.get("interval"), signed=True))
    return cells


def format_number(value: float | None, signed: bool = False) -> str:
    """Return a number for people, with two decimals or, if it is small, more.

    Example:
        >>> [format_number(value) for value in (None, 0, 1.234, -0.5, 0.0831, 1.2e-5)]
        ['-', '0.00', '1.23', '-0.50', '0.083', '1.2e-05']
    """
    if value is None:
        return "-"
    sign = "+" if signed else ""
    if value and abs(value) < 0.001:
        return format(value, f"{sign}.1e")
    return format(value, f"{sign}.2f" if abs(value) >= 0.095 or not value else f"{sign}.3f")


def table(top: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [top, ["---"] * len(top), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def bullets(items: Sequence[object]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def write_csv(path: Path, lines: Sequence[Sequence[Any]]) -> None:
    """Write lines of cells, None as an empty one."""
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows(lines)


def _value_lines(report: EvaluationReport) -> list[list[Any]]:
    labels = [metric.label for metric in report.metrics]
    lines: list[list[Any]] = [["clip", "task", "system", *labels, *TIMES]]
    for place, result in report.in_order():
        values = [result.values.get(metric.key) for metric in report.metrics]
        lines.append([*place, *values, round(result.audio_s, 3), round(result.seconds, 3)])
    return lines


def _audio_lines(report: EvaluationReport, folder: Path) -> list[list[str]]:
    kept = {(clip, "", ""): path for clip, path in report.clean.items()} | report.audio
    lines = [[*place, path.relative_to(folder).as_posix()] for place, path in kept.items()]
    return [["clip", "task", "system", "file"], *lines]
