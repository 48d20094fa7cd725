"""Metrics of the edges of a spectrum and of the stereo image."""

import pytest
import torch

from a2sb_core.interfaces import Outcome, TaskError
from a2sb_core.testing.parts import normal
from a2sb_tasks.metrics.edges import Join, Surplus, own_edge_hz
from a2sb_tasks.metrics.image import Image
from a2sb_tasks.metrics.spectral import LSD

RATE = 44100


def limited(cutoff_hz, seconds=2.0, channels=1, seed=0):
    samples = int(seconds * RATE)
    spectrum = torch.fft.rfft(0.1 * normal(channels, samples, seed=seed))
    spectrum[:, int(cutoff_hz * seconds) :] = 0
    return torch.fft.irfft(spectrum, samples)


def test_the_edge_of_a_recording_is_found():
    assert own_edge_hz(limited(16_000), RATE) == pytest.approx(16_000, rel=0.02)
    assert own_edge_hz(0.1 * normal(1, 2 * RATE), RATE) == RATE / 2


def test_what_lies_above_the_edge_counts_only_in_the_lsd_of_the_paper():
    truth = limited(15_000)
    high = 1e-3 * (normal(1, 2 * RATE, seed=1) - limited(17_000, seed=1) * 10)
    whole, own = LSD.Config().build(), LSD.Config(edge="own").build()
    assert whole.measure(truth, truth + high, RATE) > 1
    assert own.measure(truth, truth + high, RATE) < 0.1
    with pytest.raises(ValueError, match="edge"):
        LSD.Config(edge="own", region="missing")


def test_surplus_is_what_was_added_where_there_was_nothing():
    truth, surplus = limited(15_000), Surplus.Config().build()
    assert surplus.measure(truth, truth, RATE) == Surplus.LOWEST_DB
    assert surplus.measure(truth, 0.5 * truth, RATE) == Surplus.LOWEST_DB
    assert surplus.measure(truth, truth + 0.1 * normal(1, 2 * RATE, seed=3), RATE) > -12


def test_a_step_at_the_cutoff_is_measured_in_db():
    truth, join = limited(20_000), Join.Config().build()
    spectrum = torch.fft.rfft(truth)
    spectrum[:, int(8000 * 2.0) :] /= 10
    softer = torch.fft.irfft(spectrum, truth.shape[-1])
    outcome = Outcome(truth, softer, RATE, parameters={"cutoff_hz": 8000})
    assert join.judge(outcome) == pytest.approx(20, abs=0.1)
    assert join.judge(Outcome(truth, softer, RATE, parameters={"gaps_s": [(0, 1)]})) is None
    with pytest.raises(TaskError, match="cutoff"):
        join.measure(truth, softer, RATE)


def test_the_image_is_compared_where_content_was_missing():
    image = Image.Config().build()
    shared, own = 0.1 * normal(1, RATE, seed=1), 0.1 * normal(2, RATE, seed=2)
    wide, narrow = own, shared.expand(2, -1)
    assert image.judge(Outcome(wide, narrow, RATE)) == pytest.approx(1, abs=0.1)
    gap = {"gaps_s": [(0.4, 0.6)]}
    half = narrow.clone()
    half[:, : int(0.3 * RATE)] = wide[:, : int(0.3 * RATE)]
    assert image.judge(Outcome(narrow, half, RATE, parameters=gap)) == pytest.approx(0, abs=1e-9)
    assert image.judge(Outcome(shared, shared, RATE)) is None
    with pytest.raises(TaskError, match="two channels"):
        image.measure(shared, shared, RATE)
