"""Report of an ablation: tables with a column for each axis, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a2sb_core.ablation.grid import Cell
from a2sb_core.ablation.replicates import Row, reference_name, summarize_cells
from a2sb_core.ablation.runs import Run
from a2sb_core.evaluation.reports import (
    SPEED,
    bullets,
    caption,
    difference_cells,
    heads,
    mean_cells,
    table,
    write_csv,
)
from a2sb_core.evaluation.runner import EvaluationReport
from a2sb_core.evaluation.statistics import LEVEL
from a2sb_core.plotting.ablation import draw

COLUMNS = ("mean", "mean_low", "mean_high", "clips", "difference", "low", "high")


def write_ablation(
    report: EvaluationReport,
    cells: Sequence[Cell],
    runs: Sequence[Run],
    failures: Mapping[str, str],
    folder: Path,
) -> list[Path]:
    """Write ``table.md``, ``table.csv`` (a line for each mean), ``summary.json``, ``picture.png``.

    Args:
        report: evaluation of the cells.
        cells: all cells.
        runs: all training runs.
        failures: why runs failed, by key.
        folder: an existing folder.

    Returns:
        The paths of the files.
    """
    axes = {
        axis: list(dict.fromkeys(cell.choices[axis] for cell in cells)) for axis in cells[0].choices
    }
    rows = summarize_cells(report, cells)
    names = ("table.md", "table.csv", "summary.json", "picture.png")
    paths = [folder / name for name in names]
    failed = [f"{run.title}: {failures[run.key]}" for run in runs if run.key in failures]
    paths[0].write_text(markdown(report, rows, cells, failed), encoding="utf8")
    write_csv(paths[1], _lines(rows, list(axes)))
    summary = {
        "axes": axes,
        "seeds": _seeds(cells),
        "differing": {cell.name: cell.differing for cell in cells},
        "runs": [_described(run, failures) for run in runs],
        "clips": report.clips,
        "reference": reference_name(report, cells),
        "interval_level": LEVEL,
        "rows": rows,
        "failures": [vars(failure) for failure in report.failures],
    }
    paths[2].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf8")
    draw(rows, axes, {metric.label: metric.arrow for metric in report.metrics}, paths[3])
    return paths


def markdown(
    report: EvaluationReport, rows: Sequence[Row], cells: Sequence[Cell], failed: Sequence[str]
) -> str:
    """Return the tables of means, of differences and of differing fields, and what failed."""
    axes, seeds = list(cells[0].choices), _seeds(cells)
    over = f" and {len(seeds)} seeds ({', '.join(map(str, seeds))})" if seeds else ""
    parts = [
        caption(report, over),
        _by_axis(
            heads(report, SPEED), axes, [(row, mean_cells(report, rows, row)) for row in rows]
        ),
    ]
    compared = [row for row in rows if any("difference" in m for m in row["metrics"].values())]
    if compared:
        how = (
            "same seed: mean, and {:.0%} t interval over seeds"
            if seeds
            else ("clip by clip: mean, and {:.0%} bootstrap interval over clips")
        )
        parts.append(f"Differences to `{reference_name(report, cells)}`, {how.format(LEVEL)}.")
        lines = [(row, difference_cells(report, row)) for row in compared]
        parts.append(_by_axis(heads(report), axes, lines))
    if fields := list(cells[0].differing):
        parts += ["Other fields in which the cells differ:", _fields(cells, axes, fields)]
    if failed or report.failures:
        parts += ["Failed:", bullets([*failed, *report.failures])]
    return "\n\n".join(parts) + "\n"


def _by_axis(
    top: Sequence[str], axes: Sequence[str], rows: Sequence[tuple[Row, Sequence[str]]]
) -> str:
    """Return a table with a column for each axis in place of the system."""
    lines = []
    for row, (task, system, *values) in rows:
        named = [row["choices"].get(axis, "-") for axis in axes]
        lines.append([task, *(named if row["choices"] else [system, *named[1:]]), *values])
    return table([top[0], *axes, *top[2:]], lines)


def _fields(cells: Sequence[Cell], axes: Sequence[str], fields: Sequence[str]) -> str:
    """Return a table of the fields in which cells differ, with a line for each cell."""
    different = {cell.name: cell for cell in cells}.values()
    lines = [
        [*(cell.choices[axis] for axis in axes), *(cell.differing[one] for one in fields)]
        for cell in different
    ]
    return table([*axes, *fields], lines)


def _seeds(cells: Sequence[Cell]) -> list[int]:
    return list(dict.fromkeys(cell.seed for cell in cells if cell.seed is not None))


def _lines(rows: Sequence[Row], axes: Sequence[str]) -> list[list[Any]]:
    lines: list[list[Any]] = [[*axes, "system", "task", "metric", "seeds", *COLUMNS]]
    for row in rows:
        named = [row["choices"].get(axis, "") for axis in axes]
        seeds = " ".join(map(str, row.get("seeds", ())))
        for metric, summary in row["metrics"].items():
            values = dict(summary)
            for prefix, name in (("", "interval"), ("mean_", "mean_interval")):
                low, high = summary.get(name) or (None, None)
                values |= {f"{prefix}low": low, f"{prefix}high": high}
            cells = [values.get(column) for column in COLUMNS]
            lines.append([*named, row["system"], row["task"], metric, seeds, *cells])
    return lines


def _described(run: Run, failures: Mapping[str, str]) -> dict[str, Any]:
    model = run.model
    return {
        "cells": [cell.label for cell in run.cells],
        "seed": run.config.seed,
        "steps": run.config.steps,
        "model": str(model) if model else None,
        "failure": failures.get(run.key),
    }
