"""Report of a listening test: tables in Markdown and CSV, and a summary in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from a2sb_core.errors import ConfigError
from a2sb_core.evaluation.reports import bullets, format_number, table, write_csv
from a2sb_core.evaluation.runner import Place
from a2sb_core.evaluation.statistics import LEVEL
from a2sb_core.listening.design import ListeningTest
from a2sb_core.listening.ratings import Rating, RatingsError
from a2sb_core.listening.screening import Exclusion, ScreeningRules, by_participant, screen
from a2sb_core.listening.statistics import (
    Correlation,
    Interval,
    LinearFit,
    Opinion,
    Recognition,
    StimulusOpinion,
    correlations,
    linear_fit,
    opinions,
    recognitions,
    stimulus_opinions,
)


@dataclass(frozen=True)
class ListeningReport:
    """Results of a listening test.

    Attributes:
        test: the test.
        participants: number of participants whose ratings count.
        rules: rules of the screening; empty if there was none.
        excluded: participants whose ratings do not count.
        incomplete: participants who did not do all trials, with the number that they did.
        opinions: mean opinion scores; none for ABX.
        stimuli: mean opinion scores of single stimuli; none for ABX.
        correlations: correlations of the latter with metrics.
        fits: their linear fits.
        not_fitted: tasks without a fit.
        recognitions: ABX answers.
    """

    test: ListeningTest
    participants: int
    rules: str = ""
    excluded: list[Exclusion] = field(default_factory=list)
    incomplete: dict[str, int] = field(default_factory=dict)
    opinions: list[Opinion] = field(default_factory=list)
    stimuli: list[StimulusOpinion] = field(default_factory=list)
    correlations: list[Correlation] = field(default_factory=list)
    fits: list[LinearFit] = field(default_factory=list)
    not_fitted: list[str] = field(default_factory=list)
    recognitions: list[Recognition] = field(default_factory=list)


def evaluate_ratings(
    test: ListeningTest,
    ratings: Sequence[Rating],
    rules: ScreeningRules | None = None,
    metrics: Mapping[Place, Mapping[str, float]] | None = None,
    fitted: Sequence[str] | None = None,
) -> ListeningReport:
    """Evaluate the ratings of a test.

    Args:
        test: the test.
        ratings: its ratings, each once.
        rules: rules of the screening; None: every participant counts. ABX answers are not screened.
        metrics: values of metrics in place of those that the test stores.
        fitted: labels of the metrics of the linear fit; default: those without options, which are
            the metrics of the paper in a default evaluation.

    Raises:
        RatingsError: there are no ratings, or the screening leaves none.
        ConfigError: no stimulus has a metric that is fitted.
    """
    if not ratings:
        raise RatingsError("there are no ratings yet")
    done = {name: len({one.trial for one in own}) for name, own in by_participant(ratings).items()}
    incomplete = {name: count for name, count in done.items() if count < len(test.trials)}
    if test.kind == "abx":
        found = recognitions(test, ratings)
        return ListeningReport(test, len(done), incomplete=incomplete, recognitions=found)
    excluded = screen(test, ratings, rules) if rules else []
    names = {one.participant for one in excluded}
    kept = [rating for rating in ratings if rating.participant not in names]
    if not kept:
        lines = "; ".join(_excluded_line(one) for one in excluded)
        raise RatingsError(f"the screening excludes every participant: {lines}")
    rated = stimulus_opinions(test, kept, metrics)
    fits = _fits(rated, fitted)
    return ListeningReport(
        test,
        len(done) - len(names),
        rules.statement(test) if rules else "",
        excluded,
        incomplete,
        opinions(test, kept),
        rated,
        correlations(rated),
        [fit for fit in fits.values() if fit],
        [task for task, fit in fits.items() if not fit],
    )


def _fits(
    rated: Sequence[StimulusOpinion], labels: Sequence[str] | None
) -> dict[str, LinearFit | None]:
    """Return the fit of each task, None where there is none; no tasks if nothing is fitted."""
    known = list(dict.fromkeys(name for one in rated for name in one.metrics))
    fitted = [name for name in known if "(" not in name] if labels is None else labels
    if unknown := [name for name in fitted if name not in known]:
        raise ConfigError(
            f"no stimulus has the metric `{unknown[0]}`; known: {', '.join(known) or 'none'}"
        )
    tasks = dict.fromkeys(one.task for one in rated if fitted)
    return {task: linear_fit(rated, task, fitted) for task in tasks}


def write_listening_report(report: ListeningReport, folder: Path) -> list[Path]:
    """Write ``report.md``, ``summary.json`` and the tables in CSV; return their paths.

    Args:
        report: the results.
        folder: an existing folder.
    """
    paths = [folder / "report.md", folder / "summary.json"]
    paths[0].write_text(as_markdown(report), encoding="utf8")
    paths[1].write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf8")
    for name in ("opinions", "stimuli", "recognitions"):
        rows = [_flat(asdict(row)) for row in getattr(report, name)]
        if rows:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            lines: list[list[Any]] = [columns]
            lines += [[row.get(column) for column in columns] for row in rows]
            paths.append(folder / f"{name}.csv")
            write_csv(paths[-1], lines)
    return paths


def as_json(report: ListeningReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    values = asdict(report)
    values["test"] = {name: getattr(report.test, name) for name in ("id", "kind", "title")}
    return {**values, "interval_level": LEVEL}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with columns for the ends of the interval and for each metric."""
    metrics, interval = row.pop("metrics", {}), row.pop("interval", ())
    ends = zip(("low", "high"), interval or (None, None), strict=True) if interval != () else ()
    return {**row, **dict(ends), **metrics}


def as_markdown(report: ListeningReport) -> str:
    """Return the report as Markdown."""
    test = report.test
    parts = [
        f"# {test.title}",
        f"Kind: {test.kind}. {_count(report.participants, 'participant')}, "
        f"{_count(len(test.trials), 'trial')} each.",
    ]
    if report.opinions:
        parts += _opinion_parts(report)
    if report.recognitions:
        parts += _recognition_parts(report)
    if report.correlations:
        parts += _metric_parts(report)
    if report.rules:
        parts += ["## Screening", report.rules]
        parts.append(
            bullets([_excluded_line(one) for one in report.excluded]) or "Nobody was excluded."
        )
    if report.incomplete:
        lines = [
            f"{name}: {count} of {len(test.trials)} trials"
            for name, count in report.incomplete.items()
        ]
        parts += ["## Incomplete", "The ratings of these participants count.", bullets(lines)]
    return "\n\n".join(parts) + "\n"


def _opinion_parts(report: ListeningReport) -> list[str]:
    rows = [
        [
            one.task,
            one.system,
            format_number(one.mean),
            _interval(one.interval),
            str(one.participants),
            str(one.ratings),
        ]
        for one in report.opinions
    ]
    heads = ("task", "system", "MOS", f"{LEVEL:.0%} interval", "participants", "ratings")
    return [
        "## Mean opinion scores",
        "The interval holds for other participants like these and for the clips of the test.",
        table(heads, rows),
    ]


def _recognition_parts(report: ListeningReport) -> list[str]:
    rows = [
        [
            one.task,
            f"{one.first} / {one.second}",
            f"{one.correct} of {one.answers}",
            format_number(one.proportion),
            _interval(one.interval),
            f"{one.p_value:.3g}",
        ]
        for one in report.recognitions
    ]
    heads = ("task", "pair", "correct", "proportion", f"{LEVEL:.0%} interval", "p")
    return [
        "## ABX",
        "p is the probability of at least so many correct answers by guessing (exact binomial "
        "test).",
        table(heads, rows),
    ]


def _metric_parts(report: ListeningReport) -> list[str]:
    rows = [
        [
            one.task,
            one.metric,
            format_number(one.pearson),
            format_number(one.spearman),
            str(one.stimuli),
        ]
        for one in report.correlations
    ]
    heads = ("task", "metric", "Pearson", "Spearman", "stimuli")
    parts = [
        "## Correlation with metrics",
        "Correlation of the mean opinion scores of single stimuli with the metrics.",
        table(heads, rows),
    ]
    if report.fits or report.not_fitted:
        lines = [f"{fit.task}: {formula(fit)}" for fit in report.fits]
        lines += [
            f"{task}: too few stimuli, or metrics that do not vary" for task in report.not_fitted
        ]
        parts += ["## Linear fit", bullets(lines)]
    return parts


def formula(fit: LinearFit) -> str:
    """Return a fit as text."""
    terms = "".join(
        f" {'-' if slope < 0 else '+'} {abs(slope):.4g} {name}"
        for name, slope in fit.slopes.items()
    )
    return (
        f"MOS = {fit.intercept:.4g}{terms}; R2 = {fit.r_squared:.3f} over "
        f"{_count(fit.stimuli, 'stimulus', 'stimuli')}"
    )


def _excluded_line(one: Exclusion) -> str:
    return f"{one.participant}: {one.reason}"


def _interval(interval: Interval) -> str:
    if interval is None:
        return "-"
    return " to ".join(format_number(value) for value in interval)


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
