from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from a2sb_core.interfaces import Gaussian, Grid, Noise, per_item

SEEDS = st.integers(-(2**70), 2**70)


@given(seed=SEEDS, step=st.integers(0, 300), cuts=st.lists(st.integers(0, 150), max_size=6))
@example(seed=0, step=0, cuts=[])
@example(seed=1, step=2, cuts=[32, 64, 96])
@example(seed=1, step=2, cuts=[31, 33, 33])
def test_any_chunking_gives_the_same_values(seed, step, cuts):
    noise = Noise(seed, 2, 3)
    whole = noise.at(step, 0, 150)
    edges = [0, *sorted(cuts), 150]
    parts = [noise.at(step, start, stop) for start, stop in pairwise(edges)]
    assert torch.equal(torch.cat(parts, dim=-1), whole)


@given(seeds=st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=2, unique=True))
@example(seeds=[0, 1])
@example(seeds=[0, 2**32])
@example(seeds=[0, 2**63])
def test_seeds_differ(seeds):
    first, second = (Noise(seed, 1, 8).at(0, 0, 32) for seed in seeds)
    assert (first == second).float().mean() < 0.05


def test_seeds_steps_blocks_and_rows_are_all_different():
    draws = [
        Noise(seed, 2, 8).at(step, 32 * block, 32 * block + 32)[channel]
        for seed in range(4)
        for step in range(4)
        for block in range(4)
        for channel in range(2)
    ]
    stacked = torch.stack(draws).flatten(1)
    assert len({tuple(values[:4].tolist()) for values in stacked}) == len(draws)
    similar = torch.corrcoef(stacked) - torch.eye(len(draws))
    assert similar.abs().max() < 0.35


def test_values_are_standard_normal():
    values = torch.stack([Noise(seed, 3, 64).at(step, 0, 64) for seed in (0, 7) for step in (0, 3)])
    values = values.double().flatten()
    assert values.dtype == torch.float64
    count = len(values)
    assert abs(values.mean()) < 4 / count**0.5
    assert abs(values.var() - 1) < 4 * (2 / count) ** 0.5
    assert abs((values**3).mean()) < 4 * (15 / count) ** 0.5
    assert abs((values**4).mean() - 3) < 4 * (96 / count) ** 0.5
    inside = (values.abs() < 1).double().mean()
    assert float(inside) == pytest.approx(0.6827, abs=0.01)


def test_a_gaussian_draws_with_the_given_noise():
    gaussian = Gaussian(torch.tensor([1.0, 2.0]), torch.tensor(4.0))
    assert torch.equal(gaussian.sample(torch.tensor([0.5, -1.0])), torch.tensor([2.0, 0.0]))
    certain = Gaussian(torch.tensor([1.0, 2.0]), torch.tensor(0.0))
    assert torch.equal(certain.sample(torch.tensor([9.0, 9.0])), certain.mean)


def test_grid_shape_is_rows_by_frames():
    assert Grid(44100, torch.arange(5), torch.arange(7), 0.1).shape == (5, 7)


def test_per_item_broadcasts_over_what_follows_the_items():
    like = torch.zeros(3, 2, 4, 5)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    assert per_item(t, like).shape == (3, 1, 1, 1)
    assert per_item(t, like).dtype == like.dtype
    assert per_item(t[1], like).shape == ()
    assert (like + per_item(t, like)).dtype == torch.float32
