"""Statistics of an ablation: a row for each task and cell, over the clips or over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from a2sb_core.ablation.grid import Cell
from a2sb_core.config.evaluation import DEGRADED
from a2sb_core.evaluation.metrics import NamedMetric
from a2sb_core.evaluation.runner import EvaluationReport
from a2sb_core.evaluation.statistics import clip_values, summarize, t_interval

Row = dict[str, Any]
Systems = Mapping[int | None, str]
"""Systems of an evaluation by the seed of the replicate."""


def summarize_cells(report: EvaluationReport, cells: Sequence[Cell]) -> list[Row]:
    """Return a row for each task and cell, with the text of its value on each axis as ``choices``.

    Without seeds, the rows are those of :func:`summarize`. With seeds, the mean of a row is that of
    its replicates, differences are taken between replicates of the same seed, and the intervals
    ``mean_interval`` and ``interval`` are t intervals over the seeds.
    """
    choices = {cell.name: cell.choices for cell in cells}
    has_seeds = any(cell.seed is not None for cell in cells)
    rows = _over_seeds(report, cells) if has_seeds else summarize(report)
    return [{"choices": choices.get(row["system"], {}), **row} for row in rows]


def reference_name(report: EvaluationReport, cells: Sequence[Cell]) -> str:
    """Return the name of the cell that the others are compared with, or ``degraded``."""
    return next((cell.name for cell in cells if cell.label == report.reference), DEGRADED)


def _over_seeds(report: EvaluationReport, cells: Sequence[Cell]) -> list[Row]:
    systems: dict[str, dict[int | None, str]] = {
        DEGRADED: {cell.seed: DEGRADED for cell in cells if cell.label in report.systems}
    }
    for cell in cells:
        if cell.label in report.systems:
            systems.setdefault(cell.name, {})[cell.seed] = cell.label
    reference = systems[reference_name(report, cells)]
    rows = []
    for task in report.tasks:
        for name, own in systems.items():
            done = {seed: label for seed, label in own.items() if report.restored(task, label)}
            if done:
                rows.append(_row(report, task, name, done, reference))
    return rows


def _row(report: EvaluationReport, task: str, name: str, own: Systems, reference: Systems) -> Row:
    results = [one for label in set(own.values()) for one in report.restored(task, label)]
    seconds = sum(result.seconds for result in results)
    return {
        "task": task,
        "system": name,
        "seeds": [] if name == DEGRADED else list(own),
        "clips": len({result.clip for result in results}),
        "audio_seconds_per_second": sum(one.audio_s for one in results) / max(seconds, 1e-9),
        "metrics": {
            metric.label: _summary(report, metric, task, own, reference)
            for metric in report.metrics
        },
    }


def _summary(
    report: EvaluationReport, metric: NamedMetric, task: str, own: Systems, reference: Systems
) -> Row:
    values = {seed: clip_values(report, metric, task, label) for seed, label in own.items()}
    found = {seed: one[np.isfinite(one)] for seed, one in values.items() if np.isfinite(one).any()}
    means = {seed: float(one.mean()) for seed, one in found.items()}
    summary: Row = {
        "mean": float(np.mean(list(means.values()))) if means else None,
        "clips": max(map(len, found.values()), default=0),
    }
    if len(set(own.values())) == len(own):
        summary["by_seed"] = means
        summary["mean_interval"] = t_interval(list(means.values()))
    differences = []
    for seed, label in reference.items():
        if own.get(seed, label) != label:
            both = values[seed] - clip_values(report, metric, task, label)
            differences += [float(np.nanmean(both))] if np.isfinite(both).any() else []
    if differences:
        summary["difference"] = float(np.mean(differences))
        summary["interval"] = t_interval(differences)
    return summary
