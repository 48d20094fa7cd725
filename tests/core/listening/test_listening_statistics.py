"""Listening tests: the statistics find what simulated listeners think."""

import math

import numpy as np
import pytest
from listening_parts import TASK, design, rate
from scipy.stats import norm

from a2sb_core.errors import ConfigError
from a2sb_core.listening.design import REFERENCE
from a2sb_core.listening.ratings import RatingsError
from a2sb_core.listening.reports import as_json, as_markdown, evaluate_ratings
from a2sb_core.listening.screening import ScreeningRules, screen
from a2sb_core.listening.statistics import linear_fit, opinions

LEVELS = {"good": 4.0, "bad": 2.6, REFERENCE: 4.8}
CLIPS = (-0.3, 0.0, 0.1, 0.4, -0.5, 0.2)
BIAS, NOISE = 0.4, 0.8


def quality(stimulus):
    return LEVELS[stimulus.system] + CLIPS[int(stimulus.clip[1:])]


def known_mean(system):
    """Expected rating over all listeners: rounded and limited to the scale."""
    means = []
    for clip in CLIPS[:4]:
        edges = [-math.inf, 1.5, 2.5, 3.5, 4.5, math.inf]
        shares = np.diff(norm.cdf(edges, LEVELS[system] + clip, math.hypot(BIAS, NOISE)))
        means.append(shares @ np.arange(1, 6))
    return np.mean(means)


def simulate(test, seed, count=15):
    generator = np.random.default_rng(seed)
    names = [f"p{k}" for k in range(count)]
    bias = dict(zip(names, generator.normal(0, BIAS, count), strict=True))

    def value(name, stimulus):
        exact = quality(stimulus) + bias[name] + generator.normal(0, NOISE)
        return int(np.clip(round(exact), 1, 5))

    return rate(test, names, value)


def coverage(simulations):
    """Return the share of simulations whose interval has the known mean, by system."""
    test, known = design(clips=4), {system: known_mean(system) for system in LEVELS}
    hits = dict.fromkeys(LEVELS, 0)
    for seed in range(simulations):
        for one in opinions(test, simulate(test, seed)):
            low, high = one.interval
            hits[one.system] += low <= known[one.system] <= high
    return {system: count / simulations for system, count in hits.items()}


def test_intervals_have_the_known_means_in_95_of_100_simulations():
    # a binomial count of 100 with probability 0.95 is from 90 to 99 in 98 of 100 cases
    for share in coverage(100).values():
        assert 0.90 <= share <= 0.99


@pytest.mark.slow
def test_coverage_is_95_percent_over_many_simulations():
    for share in coverage(2000).values():
        assert share == pytest.approx(0.95, abs=0.015)


def test_a_mean_is_over_participants_not_over_ratings():
    test = design(clips=2)
    ratings = rate(test, ["p0", "p1"], lambda name, _: {"p0": 1, "p1": 5}[name])
    ratings = [one for one in ratings if one.participant == "p0" or one.stimulus.startswith("s0")]
    good = opinions(test, ratings)[0]
    assert (good.mean, good.participants, good.ratings) == (3.0, 2, 3)


def test_one_participant_has_no_interval():
    test = design()
    ratings = rate(test, ["p0"], lambda *_: 3)
    assert all(one.interval is None for one in opinions(test, ratings))
    assert "| -" in as_markdown(evaluate_ratings(test, ratings))


def test_screening_excludes_who_mistakes_the_reference_and_who_guesses():
    test = design("mushra", systems=("a", "b", "c"), clips=5)
    generator = np.random.default_rng(0)
    level = {"a": 20, "b": 45, "c": 70, REFERENCE: 100}

    def value(name, stimulus):
        if name == "deaf" and stimulus.system == REFERENCE:
            return 40
        if name == "guesses" and stimulus.system != REFERENCE:
            return 100 - level[stimulus.system] - 10
        if name == "same":
            return 100
        return min(100, max(0, level[stimulus.system] + round(generator.normal(0, 3))))

    names = ["deaf", "guesses", "p1", "p2", "p3", "p4", "same"]
    ratings = [
        one
        for one in rate(test, names, value)
        if not (one.participant.startswith("p") and one.value < 90 and "x3" in one.stimulus)
    ]
    found = {one.participant: one.reason for one in screen(test, ratings, ScreeningRules())}
    assert set(found) == {"deaf", "guesses", "same"}
    assert "5 of 5" in found["deaf"] and "correlation" in found["guesses"]
    report = evaluate_ratings(test, ratings, ScreeningRules())
    assert report.participants == 4
    assert evaluate_ratings(test, ratings).participants == 7
    lenient = ScreeningRules(mistakes=1.0, correlation=-1.0)
    assert not screen(test, ratings, lenient)


def test_honest_listeners_pass_the_screening():
    test = design(clips=6)
    excluded = sum(
        len(screen(test, simulate(test, seed), ScreeningRules(mistakes=1.0))) for seed in range(20)
    )
    assert excluded <= 6  # of 300


def test_nobody_left_is_an_error():
    test = design()
    with pytest.raises(RatingsError, match="every participant"):
        evaluate_ratings(test, rate(test, ["p"], lambda *_: 1), ScreeningRules())
    with pytest.raises(RatingsError, match="no ratings"):
        evaluate_ratings(test, [])


def with_metrics(clip, system):
    generator = np.random.default_rng(10 * clip + (system == "good"))
    return {"lsd": float(generator.uniform(1, 3)), "sispec": float(generator.uniform(10, 20))}


def exact(_, stimulus):
    """Rate by a linear law of the metrics."""
    return (
        3 - 0.5 * stimulus.metrics["lsd"] + 0.1 * stimulus.metrics["sispec"]
        if (stimulus.metrics)
        else 5
    )


def test_a_linear_law_of_the_metrics_is_found():
    test = design(clips=6, metrics=with_metrics)
    report = evaluate_ratings(test, rate(test, ["p0", "p1"], exact))
    (fit,) = report.fits
    assert fit.intercept == pytest.approx(3, abs=1e-4) and fit.r_squared == pytest.approx(1)
    assert fit.slopes == pytest.approx({"lsd": -0.5, "sispec": 0.1}, abs=1e-5)
    assert (fit.task, fit.stimuli) == (TASK, 12)
    signs = {one.metric: (one.pearson, one.spearman, one.stimuli) for one in report.correlations}
    assert signs["lsd"][0] < 0 < signs["sispec"][0] and signs["lsd"][2] == 12
    single = evaluate_ratings(test, rate(test, ["p0"], exact), fitted=["lsd"]).fits[0]
    correlation = next(one.pearson for one in report.correlations if one.metric == "lsd")
    assert single.r_squared == pytest.approx(correlation**2)
    assert as_json(report)["fits"][0]["slopes"]["lsd"] == fit.slopes["lsd"]


def test_metrics_that_decide_nothing_are_not_fitted():
    def constant(clip, system):
        return {"a": 1.0 + clip, "b": 2.0 + 2 * clip, "c": 1.0}

    test = design(clips=6, metrics=constant)
    report = evaluate_ratings(test, rate(test, ["p0"], lambda _, one: 1 + len(one.system) % 5))
    assert report.not_fitted == [TASK] and not report.fits
    assert next(one for one in report.correlations if one.metric == "c").pearson is None
    assert linear_fit(report.stimuli, TASK, ["a", "b"]) is None  # proportional
    assert linear_fit(report.stimuli, TASK, ["a"]) is not None
    with pytest.raises(ConfigError, match="`d`; known: a, b, c"):
        evaluate_ratings(test, rate(test, ["p0"], lambda *_: 3), fitted=["d"])


def test_abx_counts_right_answers():
    test = design("abx", systems=("good",), clips=5, repeats=2)

    def answer(name, trial):
        truth = test.x_is(name, trial.id)
        wrong = {"A": "B", "B": "A"}[truth]
        return wrong if trial.id == "t0r0" else truth

    (found,) = evaluate_ratings(test, rate(test, ["p0"], answer)).recognitions
    assert (found.correct, found.answers, found.first, found.second) == (9, 10, "good", REFERENCE)
    assert found.p_value == pytest.approx(11 / 1024)  # (10 + 1) / 2^10
    low, high = found.interval
    assert low == pytest.approx(0.5550, abs=1e-4) and high == pytest.approx(0.9975, abs=1e-4)


def test_incomplete_participants_count_and_are_named():
    test = design()
    ratings = [one for one in rate(test, ["p0", "p1"], lambda *_: 4)][:-2]
    report = evaluate_ratings(test, ratings)
    assert report.incomplete == {"p1": 10}
    assert "p1: 10 of 12 trials" in as_markdown(report)
