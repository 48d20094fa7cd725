"""Tables of an evaluation: means, paired differences with intervals, values of each file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from a2sb_core.engine.evaluation import Measure, Report

DRAWS = 10_000
LEVEL = 0.95

Array = npt.NDArray[np.float64]


def bootstrap_interval(values: Array, seed: int = 0) -> tuple[float, float] | None:
    """Return the percentile interval of the mean of (N,) values over ``DRAWS`` resamples.

    None for fewer than two values: one clip tells nothing of others.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def summarize(report: Report, reference: str, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row for each task and system: means, and differences to the reference.

    A difference counts the clips that both systems have. Rows of systems that do not do a task
    are left out.
    """
    rows = []
    for task in report.tasks:
        for system in report.systems:
            done = [report.results.get((clip, task, system)) for clip in report.clips]
            restored = [result for result in done if result and not result.skipped]
            if not restored:
                continue
            seconds = sum(result.seconds for result in restored)
            rows.append({
                "task": task, "system": system, "clips": len(restored),
                "audio_seconds_per_second":
                    sum(result.audio_s for result in restored) / max(seconds, 1e-9),
                "metrics": {
                    measure.label: _summary(report, measure, task, system, reference, seed)
                    for measure in report.measures
                },
            })
    return rows


def _summary(
    report: Report, measure: Measure, task: str, system: str, reference: str, seed: int
) -> dict[str, Any]:
    own, other = (_values(report, measure, task, name) for name in (system, reference))
    found = own[np.isfinite(own)]
    summary: dict[str, Any] = {
        "mean": float(found.mean()) if len(found) else None, "clips": len(found),
    }
    both = np.isfinite(own) & np.isfinite(other)
    if system != reference and both.any():
        differences = own[both] - other[both]
        summary["difference"] = float(differences.mean())
        summary["interval"] = bootstrap_interval(differences, seed)
    return summary


def _values(report: Report, measure: Measure, task: str, system: str) -> Array:
    """Values of all clips, NaN where there is none."""
    results = [report.results.get((clip, task, system)) for clip in report.clips]
    values = [None if result is None else result.values.get(measure.key) for result in results]
    return np.array([math.nan if value is None else value for value in values])


def markdown(report: Report, rows: Sequence[dict[str, Any]], reference: str) -> str:
    """Return the tables as Markdown: means with the best of a task in bold, then differences."""
    count = f"{len(report.clips)} clip{'s' * (len(report.clips) != 1)}"
    parts = [
        f"Means over {count}; arrows say which way is better, bold is the best of a task.",
        table(heads(report, "x real time"), [mean_cells(report, rows, row) for row in rows]),
    ]
    compared = [row for row in rows if row["system"] != reference]
    if compared:
        parts += [
            f"Differences to `{reference}` clip by clip: mean, and {LEVEL:.0%} bootstrap interval.",
            table(heads(report), [_difference_cells(report, row) for row in compared]),
        ]
    if skipped := skips(report):
        parts += ["Not done:", "\n".join(f"- {line}" for line in skipped)]
    if report.failures:
        parts += ["Failed:", "\n".join(f"- {failure}" for failure in report.failures)]
    return "\n\n".join(parts) + "\n"


def skips(report: Report) -> list[str]:
    """Tell which system does not do which task, and why."""
    told: dict[str, None] = {}
    for (_, task, system), result in report.results.items():
        if result.skipped:
            told[f"{task}, {system}: {result.skipped}"] = None
    return list(told)


def heads(report: Report, *more: str) -> list[str]:
    """Return the heads of a table: task, system, metrics with arrows, and ``more``."""
    arrows = [
        f"{measure.label} {'↑' if measure.metric.higher_is_better else '↓'}"
        for measure in report.measures
    ]
    return ["task", "system", *arrows, *more]


def mean_cells(
    report: Report, rows: Sequence[dict[str, Any]], row: dict[str, Any]
) -> list[str]:
    """Return a line of the table of means: task, system, metrics, times real time."""
    cells = [row["task"], row["system"]]
    for measure in report.measures:
        own = row["metrics"][measure.label]["mean"]
        same_task = [other for other in rows if other["task"] == row["task"]]
        means = [other["metrics"][measure.label]["mean"] for other in same_task]
        known = [mean for mean in means if mean is not None]
        best = (max if measure.metric.higher_is_better else min)(known, default=None)
        text = number(own)
        cells.append(f"**{text}**" if len(known) > 1 and text == number(best) != "-" else text)
    speed = row["audio_seconds_per_second"]
    return [*cells, "-" if row["system"] == "degraded" else f"{speed:.3g}"]


def _difference_cells(report: Report, row: dict[str, Any]) -> list[str]:
    cells = [row["task"], row["system"]]
    for measure in report.measures:
        summary = row["metrics"][measure.label]
        text = number(summary.get("difference"), signed=True)
        if interval := summary.get("interval"):
            low, high = (number(value, signed=True) for value in interval)
            text += f" ({low} to {high})"
        cells.append(text)
    return cells


def number(value: float | None, signed: bool = False) -> str:
    """Return a figure for people: two decimals, three significant digits where it is small."""
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


def write_report(
    report: Report, folder: Path, reference: str, seed: int = 0
) -> tuple[list[dict[str, Any]], str]:
    """Write ``values.csv``, ``table.md`` and ``summary.json``; return rows and Markdown."""
    rows = summarize(report, reference, seed)
    text = markdown(report, rows, reference)
    (folder / "table.md").write_text(text, encoding="utf8")
    summary = {
        "clips": report.clips, "reference": reference, "interval_level": LEVEL, "rows": rows,
        "skipped": skips(report), "failures": [vars(failure) for failure in report.failures],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf8")
    with (folder / "values.csv").open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        labels = [measure.label for measure in report.measures]
        writer.writerow(["clip", "task", "system", *labels, "audio_s", "seconds"])
        writer.writerows(_lines(report))
    return rows, text


def _lines(report: Report) -> list[list[Any]]:
    lines = []
    for clip in report.clips:
        for task in report.tasks:
            for system in report.systems:
                result = report.results.get((clip, task, system))
                if result is None or result.skipped:
                    continue
                values = [result.values.get(measure.key) for measure in report.measures]
                lines.append([
                    clip, task, system, *("" if value is None else value for value in values),
                    round(result.audio_s, 3), round(result.seconds, 3),
                ])
    return lines
