"""Guesses: linear prediction across gaps, and the octave copied above a cutoff."""

import os
import subprocess
import sys

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a2sb_core.interfaces import Item, Noise
from a2sb_core.testing.parts import music
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.envelope.bands import BANDS, at_bins, centres_hz, levels_db
from a2sb_tasks.envelope.prediction import predicted_power
from a2sb_tasks.guesses.interpolation import FADE_S, LONGEST_S, fill_gap
from a2sb_tasks.guesses.passages import find_passages
from a2sb_tasks.guesses.replication import Replication
from a2sb_tasks.representations.factorized import Factorized

RATE = 44100


def tones(samples, rate=RATE):
    time = np.arange(samples) / rate
    return sum(0.2 * np.sin(2 * np.pi * hz * time + hz) for hz in (440.0, 1234.5, 3210.0))


def test_tones_are_continued_through_a_gap():
    for length_s in (0.05, 0.2, 0.5):
        wave, length = tones(RATE * 2), int(length_s * RATE)
        start = RATE
        filled = fill_gap(wave[:start], wave[start + length :], length, RATE)
        truth = wave[start : start + length]
        error_db = 10 * np.log10(np.mean((filled - truth) ** 2) / np.mean(truth**2))
        assert error_db < -10, (length_s, error_db)


@settings(max_examples=40)
@given(
    left=st.integers(0, 3000),
    right=st.integers(0, 3000),
    length=st.integers(1, 9000),
    level=st.sampled_from([0.0, 1e-30, 1e-4, 1.0, 1e6]),
    kind=st.sampled_from(["noise", "constant", "tones", "impulse"]),
)
def test_a_fill_is_finite_and_no_louder_than_its_sides(left, right, length, level, kind):
    rate, rng = 8000, np.random.default_rng(left + right)
    wave = {
        "noise": rng.standard_normal(left + right),
        "constant": np.ones(left + right),
        "tones": tones(left + right, rate) if left + right else np.zeros(0),
        "impulse": np.eye(1, left + right, max(0, left - 1))[0] if left + right else np.zeros(0),
    }[kind]
    sides = level * wave[:left], level * wave[left:]
    filled = fill_gap(*sides, length, rate)
    assert filled.shape == (length,) and np.isfinite(filled).all()
    peak = max(np.abs(side).max(initial=0.0) for side in sides)
    assert np.abs(filled).max() <= peak * (1 + 1e-9)


def test_a_long_gap_is_silent_in_the_middle_and_continuous_at_its_ends():
    wave, length = tones(3 * RATE), int((LONGEST_S + 0.4) * RATE)
    filled = fill_gap(wave[:RATE], wave[RATE + length :], length, RATE)
    fade = int(FADE_S * RATE)
    assert not filled[fade + 1 : length - fade - 1].any()
    assert np.allclose(filled[:20], wave[RATE : RATE + 20], atol=0.01)
    assert np.allclose(filled[-20:], wave[RATE + length - 20 : RATE + length], atol=0.01)


def loop(seconds, rate=RATE):
    """Noise that repeats every second."""
    once = np.random.default_rng(5).standard_normal(rate)
    return np.tile(once, seconds)[None] * 0.1


def test_a_passage_is_found_where_the_recording_repeats():
    wave, gap = loop(4), (RATE + 16000, RATE + 26000)
    known = np.ones(wave.shape[-1], dtype=bool)
    known[slice(*gap)] = False
    louder = wave * np.repeat([1.0, 2.0, 1.0, 1.0], RATE)
    damaged = np.where(known, louder, 0)
    found = find_passages(damaged, known, gap, RATE, 3)
    assert [abs(one.start - gap[0]) % RATE for one in found[:3]] == [0, 0, 0]
    assert all(abs(one.gain - 2) < 0.01 and one.correlation > 0.999 for one in found)
    known[[2 * RATE + 17000, 3 * RATE + 17000]] = False  # passages must be known as a whole
    (best, *others) = find_passages(damaged, known, gap, RATE, 3)
    assert best.start == gap[0] - RATE and all(one.correlation < 0.9 for one in others)


def test_nothing_is_found_in_silence_noise_or_without_surroundings():
    rng, gap = np.random.default_rng(0), (20000, 30000)
    known = np.ones(60000, dtype=bool)
    known[slice(*gap)] = False
    assert find_passages(np.zeros((1, 60000)), known, gap, RATE, 3) == []
    noise = np.where(known, rng.standard_normal((2, 60000)), 0)
    assert find_passages(noise, known, gap, RATE, 3) == []
    assert find_passages(noise, np.zeros(60000, dtype=bool), gap, RATE, 3) == []
    assert find_passages(noise[:, :100], known[:100], (0, 100), RATE, 3) == []


def test_a_gap_in_music_that_repeats_is_filled_with_what_was_there():
    representation = Factorized.Config().build()
    wave = torch.from_numpy(loop(5)).float()
    corruption = Inpainting.Config(fill_std=0, guess="similar_passage").build()
    parameters = corruption.Parameters(gaps_s=((2.2, 2.6),))
    item = Item(wave, representation.encode(wave), representation)
    noise = Noise(0, representation.channels, representation.rows)
    x1, missing = vars(corruption.degrade(item, parameters, noise)).values()
    inside = missing[0, 0, 0].nonzero()[8:-8, 0]
    error = (x1 - item.z)[..., inside].square().mean() / item.z[..., inside].square().mean()
    assert float(error) < 0.01


def test_the_number_of_threads_changes_no_bit():
    code = (
        "import hashlib, numpy as np; from a2sb_tasks.guesses.interpolation import fill_gap; "
        "x = np.random.default_rng(0).standard_normal(40000); "
        "print(hashlib.sha256(fill_gap(x[:20000], x[20000:], 9000, 44100).tobytes()).hexdigest())"
    )
    digests = set()
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_levels_come_back_at_the_bins_and_unknown_rows_do_not_count():
    freqs_hz = torch.arange(1025) * RATE / 2048
    slope = 1e3 / freqs_hz.clamp(min=30)
    power = slope[None, :, None].expand(2, -1, 64).clone()
    known = (freqs_hz < 4000)[None, :, None]
    levels, share = levels_db(power, torch.ones_like(known), freqs_hz)
    assert levels.shape == (2, BANDS, 16) and bool((share == 1).all())
    smooth = 10 ** (at_bins(levels, freqs_hz, 64) / 10)
    inner = (freqs_hz > 200) & (freqs_hz < 15000)
    ratio_db = 10 * (smooth / power)[:, inner].log10()
    assert float(ratio_db.abs().amax()) < 1
    other = torch.where(known, power, 7.0)
    below = centres_hz() < 3500
    assert torch.equal(levels_db(other, known, freqs_hz)[0][:, below], levels[:, below])
    assert not bool(levels_db(other, known, freqs_hz)[1][:, centres_hz() > 4600].any())


def test_copies_have_energy_above_the_cutoff_and_follow_the_time_course():
    representation, wave = Factorized.Config().build(), music(3.0, RATE)
    fade = torch.linspace(0, 1, wave.shape[-1]).square()
    item = Item(wave * fade, representation.encode(wave * fade), representation)
    corruption = Bandwidth.Config(fill_std=0, guess="replication").build()
    assert isinstance(corruption.guess, Replication)
    parameters = corruption.Parameters(cutoff_hz=5000)
    missing = corruption.missing(item.grid, parameters)[None, None]
    found = corruption.guess.guess(item.without(missing, ()), missing, ())
    power = found[:, 0, missing[0, 0, :, 0]].clamp(min=0) ** 8
    level_db = 10 * power.mean(dim=(0, 1)).clamp(min=1e-12).log10()
    quarter = level_db.shape[0] // 4
    assert float(level_db[-quarter:].mean() - level_db[:quarter].mean()) > 10
    truth = item.z[:, 0, missing[0, 0, :, 0]] ** 8
    error_db = 10 * (power[..., quarter:].mean() / truth[..., quarter:].mean()).log10()
    assert abs(float(error_db)) < 25


def test_few_known_rows_are_not_copied():
    representation = Factorized.Config().build()
    wave = music(1.0, RATE)
    item = Item(wave, representation.encode(wave), representation)
    missing = torch.ones(1, 1, representation.rows, 1, dtype=torch.bool)
    missing[:, :, :3] = False
    found = Replication.Config().build().guess(item.without(missing, ()), missing, ())
    assert bool(torch.isfinite(found).all()) and float(found[:, 0, 200:].abs().amax()) < 0.2


def test_the_predicted_level_does_not_jump_with_the_place_of_the_cutoff_in_its_band():
    freqs_hz = torch.arange(1, 1025) * RATE / 2048
    generator = torch.Generator().manual_seed(0)
    power = torch.rand(1, 1024, 200, generator=generator) * (30000 / freqs_hz[:, None]) ** 2
    high, levels = freqs_hz > 6000, []
    for cutoff_hz in (3550, 3700, 3850, 4000, 4150, 4300, 4480):
        known = (freqs_hz < cutoff_hz)[:, None]
        _, expected = predicted_power(power, known, freqs_hz)
        levels.append(float(10 * expected[0, high].log10().mean()))
    assert max(levels) - min(levels) < 6
