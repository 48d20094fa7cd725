"""Results of an ablation: one table, with a column for each thing that is varied."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a2sb_core.config.ablate import Cell
from a2sb_core.engine.ablation import Run
from a2sb_core.engine.evaluation import Report
from a2sb_core.engine.report import heads, mean_cells, summarize, table

COLUMNS = ("mean", "clips", "difference", "low", "high")


def rows_of(
    report: Report, cells: Sequence[Cell], reference: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Return the rows of :func:`summarize`, with what each cell's value on every axis is.

    ``choices`` of a row that is no cell (the damaged audio) is empty.
    """
    choices = {cell.label: cell.choices for cell in cells}
    return [
        {"choices": choices.get(row["system"], {}), **row}
        for row in summarize(report, reference, seed)
    ]


def write_ablation(
    report: Report, rows: Sequence[dict[str, Any]], cells: Sequence[Cell], runs: Sequence[Run],
    failures: Mapping[str, str], folder: Path,
) -> list[Path]:
    """Write ``table.md``, ``table.csv`` (a line for each mean) and ``summary.json``."""
    axes = list(cells[0].choices)
    paths = [folder / name for name in ("table.md", "table.csv", "summary.json")]
    paths[0].write_text(markdown(report, rows, axes, runs, failures), encoding="utf8")
    with paths[1].open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow([*axes, "system", "task", "metric", *COLUMNS])
        writer.writerows(_lines(rows, axes))
    summary = {
        "axes": {axis: list(dict.fromkeys(c.choices[axis] for c in cells)) for axis in axes},
        "runs": [_described(run, failures) for run in runs],
        "clips": report.clips, "rows": list(rows),
        "failures": [vars(failure) for failure in report.failures],
    }
    paths[2].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf8")
    return paths


def markdown(
    report: Report, rows: Sequence[dict[str, Any]], axes: Sequence[str], runs: Sequence[Run],
    failures: Mapping[str, str],
) -> str:
    """Return the table of means as Markdown, the best of a task in bold, and what failed."""
    count = f"{len(report.clips)} clip{'s' * (len(report.clips) != 1)}"
    top = heads(report, "x real time")
    lines = []
    for row in rows:
        task, system, *means = mean_cells(report, rows, row)
        named = [row["choices"].get(axis, "-") for axis in axes]
        named = named if row["choices"] else [system, *named[1:]]
        lines.append([task, *named, *means])
    parts = [
        f"Means over {count}; arrows say which way is better, bold is the best of a task.",
        table([top[0], *axes, *top[2:]], lines),
    ]
    told = [f"- {_cells(run)}: {failures[run.key]}" for run in runs if run.key in failures]
    told += [f"- {failure}" for failure in report.failures]
    return "\n\n".join(parts + (["Failed:", "\n".join(told)] if told else [])) + "\n"


def _lines(rows: Sequence[dict[str, Any]], axes: Sequence[str]) -> list[list[Any]]:
    lines = []
    for row in rows:
        named = [row["choices"].get(axis, "") for axis in axes]
        for metric, summary in row["metrics"].items():
            low, high = summary.get("interval") or (None, None)
            values = {**summary, "low": low, "high": high}
            found = [values.get(column) for column in COLUMNS]
            lines.append([
                *named, row["system"], row["task"], metric,
                *("" if value is None else value for value in found),
            ])
    return lines


def _described(run: Run, failures: Mapping[str, str]) -> dict[str, Any]:
    model = run.model
    return {
        "cells": [cell.label for cell in run.cells], "steps": run.config.steps,
        "model": str(model) if model else None, "failure": failures.get(run.key),
    }


def _cells(run: Run) -> str:
    return "; ".join(cell.label for cell in run.cells)
