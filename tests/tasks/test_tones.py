"""Tones carried through gaps."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a2sb_core.interfaces import BlockPair
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.corruptions.tones import carry, context_of, needed_from, short_gaps

RATE = 8000
TONES = Inpainting.Config(tones=True).build()


def tones(samples, channels=1, hz=(443.3, 771.7, 1100.0)):
    time = np.arange(samples) / RATE
    wave = sum(np.sin(2 * np.pi * f * time + k) for k, f in enumerate(hz)) / 4
    return np.stack([wave * (k + 1) for k in range(channels)]).astype(np.float32)


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def whole(blocks, gaps, first=0):
    return np.concatenate(list(carry(blocks, gaps, RATE, first)), axis=-1)


def test_tones_go_on_where_a_network_said_noise():
    truth = tones(4 * RATE, 2)
    said, (start, stop) = truth.copy(), (2 * RATE, 2 * RATE + RATE // 5)
    said[:, start:stop] *= -1
    carried = whole([said], [(start, stop)])
    error = lambda wave: np.sqrt(np.mean((wave - truth)[:, start:stop] ** 2))  # noqa: E731
    assert error(carried) < 0.2 * error(said)
    assert np.array_equal(carried[:, :start], truth[:, :start])
    assert np.array_equal(carried[:, stop:], truth[:, stop:])


def test_highs_of_the_network_stay_in_the_middle():
    truth = tones(4 * RATE)
    said, (start, stop) = truth.copy(), (2 * RATE, 2 * RATE + RATE * 3 // 10)
    highs = 0.2 * np.sin(2 * np.pi * 3000 * np.arange(stop - start) / RATE)
    said[:, start:stop] += highs.astype(np.float32)
    change = (whole([said], [(start, stop)]) - truth)[0, start:stop]
    middle = slice(len(change) // 3, 2 * len(change) // 3)
    assert change[middle] == pytest.approx(highs[middle], abs=0.02)
    assert np.abs(change[:40]).max() < 0.05  # near the edges the model's


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 3 * RATE - 1), max_size=5), skip=st.integers(0, 3 * RATE - 1))
def test_in_any_blocks_and_from_any_place_the_numbers_are_the_same(cuts, skip):
    wave = tones(3 * RATE) + 0.1 * noise((1, 3 * RATE))
    gaps = [(5000, 5400), (6000, 7000), (20_000, 20_800)]
    expected = whole([wave], gaps)
    edges = [0, *sorted(set(cuts)), 3 * RATE]
    blocks = [wave[:, a:b] for a, b in pairwise(edges)]
    assert np.array_equal(whole(blocks, gaps), expected)
    first = needed_from(gaps, RATE, skip)
    assert 0 <= first <= skip
    part = whole([wave[:, first:]], gaps, first)
    assert np.array_equal(part[:, skip - first :], expected[:, skip:])


def test_what_is_far_from_gaps_needs_nothing_before_it():
    gaps, context = [(9000, 9400)], context_of(RATE)
    assert needed_from(gaps, RATE, 9000 - context) == 9000 - context
    assert needed_from(gaps, RATE, 9200) == needed_from(gaps, RATE, 9399) == 9000 - context
    assert needed_from(gaps, RATE, 9400) == 9400


def test_long_gaps_and_edges_are_left_to_the_network():
    assert short_gaps(((0.0, 0.3), (1.0, 1.6), (2.0, 2.7)), RATE) == [(RATE, RATE + 4800)]
    wave = tones(2 * RATE)
    wave[:, RATE:] = 0
    assert np.array_equal(whole([wave], [(RATE, RATE + 400)]), wave)  # silence beside it
    assert np.array_equal(whole([wave], [(2 * RATE - 400, 2 * RATE)]), wave)  # no side


def test_off_by_default():
    known = Inpainting.Parameters(gaps_s=((0.4, 0.5),))
    assert Inpainting.Config().build().finisher(known, RATE) is None
    wave, finisher = torch.from_numpy(noise((1, RATE))), TONES.finisher(known, RATE)
    pairs = [BlockPair(block, block) for block in wave.split(700, dim=-1)]
    finished = torch.cat([pair.restored for pair in finisher.finish(pairs)], dim=-1)
    assert finished.shape == wave.shape and not torch.equal(finished, wave)
    assert finisher.needed_from(3500) < 3500
