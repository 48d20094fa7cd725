"""Statistics of a listening test: mean opinions, ABX answers, and their relation to metrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binomtest, pearsonr, spearmanr

from a2sb_core.evaluation.runner import Place
from a2sb_core.evaluation.statistics import LEVEL, t_interval
from a2sb_core.listening.design import REFERENCE, SCALES, ListeningTest, Stimulus
from a2sb_core.listening.ratings import Rating
from a2sb_core.listening.screening import by_participant

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Opinion:
    """Mean opinion score of a system in a task.

    Attributes:
        mean: mean over participants of their means over trials.
        interval: 95 % interval for other participants like these and the clips of the test: the t
            interval of the means of the participants, within the scale. None for fewer than two
            participants.
        participants: number of participants.
        ratings: number of ratings.
    """

    task: str
    system: str
    mean: float
    interval: Interval
    participants: int
    ratings: int


@dataclass(frozen=True)
class StimulusOpinion:
    """Mean opinion score of one stimulus, and the values of the metrics."""

    clip: str
    task: str
    system: str
    mean: float
    ratings: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Correlation:
    """Correlation of the mean opinions of the stimuli of a task with a metric (Table 12).

    ``pearson`` and ``spearman`` are None if one of the two does not vary.
    """

    task: str
    metric: str
    stimuli: int
    pearson: float | None
    spearman: float | None


@dataclass(frozen=True)
class LinearFit:
    """Least-squares fit of the mean opinions of the stimuli of a task by metrics.

    Attributes:
        intercept: a of MOS = a + sum of b_i metric_i.
        slopes: b_i by the label of the metric.
        r_squared: share of the variance of the mean opinions that the fit explains.
        stimuli: number of stimuli.
    """

    task: str
    intercept: float
    slopes: Mapping[str, float]
    r_squared: float
    stimuli: int


@dataclass(frozen=True)
class Recognition:
    """ABX answers for a pair of systems in a task.

    Attributes:
        correct: number of correct answers.
        answers: number of answers.
        interval: exact 95 % interval (Clopper and Pearson) of the proportion correct.
        p_value: probability of at least so many correct answers if all were guessed (exact
            binomial test).
    """

    task: str
    first: str
    second: str
    correct: int
    answers: int
    interval: tuple[float, float]
    p_value: float

    @property
    def proportion(self) -> float:
        """Proportion of correct answers."""
        return self.correct / self.answers


def opinions(test: ListeningTest, ratings: Sequence[Rating]) -> list[Opinion]:
    """Return the mean opinion score of each task and system, in the order of the test."""
    groups: dict[tuple[str, str], list[Rating]] = defaultdict(list)
    for rating in ratings:
        stimulus = test.stimulus[rating.stimulus]
        groups[stimulus.task, stimulus.system].append(rating)
    found = []
    for task, system in dict.fromkeys((one.task, one.system) for one in test.stimuli if one.task):
        group = groups[task, system]
        means = [_mean(own) for own in by_participant(group).values()]
        if means:
            mean = float(np.mean(means))
            interval = _limited(t_interval(means), SCALES[test.kind])
            found.append(Opinion(task, system, mean, interval, len(means), len(group)))
    return found


def _limited(interval: Interval, scale: tuple[float, float]) -> Interval:
    """Return the part of an interval that lies on the scale, where every mean lies."""
    if interval is None:
        return None
    return max(interval[0], scale[0]), min(interval[1], scale[1])


def _mean(ratings: Sequence[Rating]) -> float:
    return float(np.mean([rating.value for rating in ratings]))


def stimulus_opinions(
    test: ListeningTest,
    ratings: Sequence[Rating],
    metrics: Mapping[Place, Mapping[str, float]] | None = None,
) -> list[StimulusOpinion]:
    """Return the mean opinion score of each stimulus that was rated, in the order of the test.

    Args:
        test: the test.
        ratings: ratings of a scale.
        metrics: values by (clip, task, system) in place of those that the test stores.
    """
    groups: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        groups[rating.stimulus].append(rating)

    def values(one: Stimulus) -> Mapping[str, float]:
        return one.metrics if metrics is None else metrics.get((one.clip, one.task, one.system), {})

    return [
        StimulusOpinion(one.clip, one.task, one.system, _mean(group), len(group), dict(values(one)))
        for one in test.stimuli
        if (group := groups.get(one.id))
    ]


def correlations(rated: Sequence[StimulusOpinion]) -> list[Correlation]:
    """Correlate the mean opinions of each task with each metric, over at least three stimuli."""
    found = []
    for task in dict.fromkeys(one.task for one in rated):
        own = [one for one in rated if one.task == task]
        for metric in dict.fromkeys(name for one in own for name in one.metrics):
            pairs = [(one.metrics[metric], one.mean) for one in own if metric in one.metrics]
            if len(pairs) < 3:
                continue
            x, y = np.array(pairs).T
            varies = np.ptp(x) > 0 and np.ptp(y) > 0
            pearson, spearman = (
                float(function(x, y).statistic) if varies else None
                for function in (pearsonr, spearmanr)
            )
            found.append(Correlation(task, metric, len(pairs), pearson, spearman))
    return found


def linear_fit(
    rated: Sequence[StimulusOpinion], task: str, metrics: Sequence[str]
) -> LinearFit | None:
    """Fit MOS = a + sum of b_i metric_i to the stimuli of a task that have all metrics.

    None if there are fewer than two more stimuli than coefficients, or if the metrics or the mean
    opinions do not vary enough for the coefficients to be determined.
    """
    own = [one for one in rated if one.task == task and all(m in one.metrics for m in metrics)]
    if not metrics or len(own) < len(metrics) + 3:
        return None
    y = np.array([one.mean for one in own])
    x = np.array([[one.metrics[metric] for metric in metrics] for one in own])
    centred, centre = x - x.mean(axis=0), x.mean(axis=0)
    scale = centred.std(axis=0)
    if not scale.all() or np.ptp(y) == 0:
        return None
    solution, _, rank, _ = np.linalg.lstsq(centred / scale, y - y.mean(), rcond=1e-8)
    if rank < len(metrics):
        return None
    slopes = solution / scale
    residual = y - y.mean() - centred @ slopes
    r_squared = 1 - float(residual @ residual) / float(np.square(y - y.mean()).sum())
    intercept = float(y.mean() - centre @ slopes)
    named = dict(zip(metrics, map(float, slopes), strict=True))
    return LinearFit(task, intercept, named, r_squared, len(own))


def recognitions(test: ListeningTest, ratings: Sequence[Rating]) -> list[Recognition]:
    """Return the proportion of correct ABX answers for each task and pair of systems."""
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for trial in test.trials:
        a, b = (test.stimulus[name] for name in trial.stimuli)
        first, second = (b, a) if a.system == REFERENCE else (a, b)
        if second.system != REFERENCE and first.system > second.system:
            first, second = second, first
        own = groups[first.task, first.system, second.system]
        own += [rating.value for rating in ratings if rating.trial == trial.id]
    found = []
    for (task, first_name, second_name), values in groups.items():
        if values:
            correct = round(math.fsum(values))
            result = binomtest(correct, len(values), 0.5, alternative="greater")
            interval = binomtest(correct, len(values)).proportion_ci(LEVEL, method="exact")
            found.append(
                Recognition(
                    task,
                    first_name,
                    second_name,
                    correct,
                    len(values),
                    (float(interval.low), float(interval.high)),
                    float(result.pvalue),
                )
            )
    return found
