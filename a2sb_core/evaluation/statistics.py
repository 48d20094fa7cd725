"""Statistics of an evaluation: means over clips, and paired differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap, t

from a2sb_core.evaluation.metrics import NamedMetric
from a2sb_core.evaluation.runner import EvaluationReport

RESAMPLES = 10_000
LEVEL = 0.95

Array = npt.NDArray[np.float64]


def bootstrap_interval(values: Array, seed: int = 0) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean of (N,) values.

    None for fewer than two values: one clip says nothing about others.
    """
    if len(values) < 2:
        return None
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the t interval of the mean of few values, such as those of several seeds.

    None for fewer than two values. It supposes that the values are normally distributed; bootstrap
    intervals of so few values are far too short.
    """
    if len(values) < 2:
        return None
    half = t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values) - half), float(np.mean(values) + half)


def summarize(report: EvaluationReport) -> list[dict[str, Any]]:
    """Return a row for each task and system: means, and differences to the reference.

    A difference counts the clips that both systems restored. Systems that do not do a task have no
    row for it.
    """
    rows = []
    for task in report.tasks:
        for system in report.systems:
            results = report.restored(task, system)
            if not results:
                continue
            seconds = sum(result.seconds for result in results)
            audio_s = sum(result.audio_s for result in results)
            rows.append(
                {
                    "task": task,
                    "system": system,
                    "clips": len(results),
                    "audio_seconds_per_second": audio_s / max(seconds, 1e-9),
                    "metrics": {
                        metric.label: _summary(report, metric, task, system)
                        for metric in report.metrics
                    },
                }
            )
    return rows


def _summary(
    report: EvaluationReport, metric: NamedMetric, task: str, system: str
) -> dict[str, Any]:
    own, other = (clip_values(report, metric, task, name) for name in (system, report.reference))
    found = own[np.isfinite(own)]
    summary: dict[str, Any] = {
        "mean": float(found.mean()) if len(found) else None,
        "clips": len(found),
    }
    both = np.isfinite(own) & np.isfinite(other)
    if system != report.reference and both.any():
        differences = own[both] - other[both]
        summary["difference"] = float(differences.mean())
        summary["interval"] = bootstrap_interval(differences, report.seed)
    return summary


def clip_values(report: EvaluationReport, metric: NamedMetric, task: str, system: str) -> Array:
    """Return the values (N,) of a system for all clips, NaN where there is none."""
    results = [report.results.get((clip, task, system)) for clip in report.clips]
    values = [None if result is None else result.values.get(metric.key) for result in results]
    return np.array([math.nan if value is None else value for value in values])
