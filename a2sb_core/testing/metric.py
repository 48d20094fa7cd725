"""Laws of metrics."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from a2sb_core.errors import A2SBError
from a2sb_core.interfaces.metric import Metric
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, Call, normal, sound

KIND = "metric"
RATES = (RATE, 22050, 48000)
SAMPLES = RATE + RATE // 5  # some metrics need a second
LEVELS = (0.02, 0.2)
"""Noise of the estimates that are compared, as a share of the truth's level."""


def build(case: Case) -> Metric:
    """Make the component."""
    made: Metric = case.config.build()
    return made


def _truth() -> Tensor:
    return sound(SAMPLES)


def _noisy(truth: Tensor, level: float) -> Tensor:
    return truth + level * 0.2 * normal(*truth.shape, seed=5)


def _judge(case: Case, metric: Metric, truth: Tensor, estimate: Tensor) -> float:
    value = metric.judge(case.outcome(truth, estimate, RATE))
    require(
        value is not None,
        "judge says nothing of the case's outcome: give Case(outcome=...) what it needs",
    )
    assert value is not None
    return value


def calls(case: Case) -> list[Call]:
    """Uses of a metric."""
    metric, truth = build(case), _truth()
    return [
        Call(
            "judge",
            lambda truth, estimate: _judge(case, metric, truth, estimate),
            (truth, _noisy(truth, LEVELS[0])),
            is_batched=False,
        )
    ]


@law(KIND)
def answers_with_a_number(case: Case) -> None:
    """The result is a finite float, also for silence."""
    metric, truth = build(case), _truth()
    metric.check()
    for name, wave in (("noise", truth), ("silence", torch.zeros_like(truth))):
        value = _judge(case, metric, wave, _noisy(wave, LEVELS[0]))
        require(
            type(value) is float and math.isfinite(value),
            f"the answer for {name} is {value!r}, not a finite float",
        )


@law(KIND)
def equal_recordings_are_best(case: Case) -> None:
    """No estimate scores better than the truth itself."""
    metric, truth = build(case), _truth()
    best = _judge(case, metric, truth, truth)
    for level in LEVELS:
        found = _judge(case, metric, truth, _noisy(truth, level))
        require(
            found == best or (found < best) == metric.higher_is_better,
            f"the truth itself scores {best:g}, with noise {found:g}; higher_is_better says that "
            f"{'more' if metric.higher_is_better else 'less'} is better",
        )


@law(KIND)
def more_noise_is_worse(case: Case) -> None:
    """An estimate with more noise is worse in the direction of ``higher_is_better``, at any rate.

    A metric may refuse a sample rate other than 44,100 Hz with an A2SBError or None.
    """
    metric = build(case)
    for rate in RATES:
        truth = sound(SAMPLES * rate // RATE)
        try:
            scores = [metric.judge(case.outcome(truth, _noisy(truth, x), rate)) for x in LEVELS]
        except A2SBError:
            if rate == RATE:
                raise
            continue
        little, much = scores
        if little is None or much is None:
            continue  # another law requires an answer at 44,100 Hz
        require(
            little != much and (much < little) == metric.higher_is_better,
            f"at {rate} Hz little noise scores {little:g}, much noise {much:g}; higher_is_better "
            f"is {metric.higher_is_better}",
        )


@law(KIND)
def channels_count_alike(case: Case) -> None:
    """Exchanging the channels does not change the result."""
    metric, truth = build(case), _truth()
    estimate = torch.stack([_noisy(truth, LEVELS[0])[0], _noisy(truth, LEVELS[1])[1]])
    one = _judge(case, metric, truth, estimate)
    other = _judge(case, metric, truth.flip(0), estimate.flip(0))
    require(
        math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6),
        f"with the channels exchanged {one:g} becomes {other:g}",
    )


@law(KIND)
def known_values_are_met(case: Case) -> None:
    """The metric gives the values that its author computed by hand."""
    require(
        case.known_values,
        "no known value was given: Case(..., known_values=((Outcome(...), value),)), or a static "
        "method `contract_cases` of the metric that returns such cases",
    )
    metric = build(case)
    for outcome, wanted in case.known_values:
        found = metric.judge(replace(outcome))
        require(
            found is not None and math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-6),
            f"the known value is {wanted:g}, the metric says {found}",
        )
