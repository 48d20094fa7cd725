"""A recording that a finisher edits after the model, as a whole, in part, and resumed."""

import time

import numpy as np
import pytest
import torch
from engine_helpers import RATE, model_config, noise, write_samples

from a2sb_core.interfaces import BlockPair, Finisher
from a2sb_core.models.model import Model
from a2sb_core.restoration.forecast import Forecaster
from a2sb_core.restoration.listener import ProgressListener
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.restorer import Restorer

MANY = {"task": "inpaint", "gaps_s": [(t + 0.2, t + 0.22) for t in range(8)]}
ASKED = {"task": "inpaint", "gaps_s": [(0.5, 0.52), (1.1, 1.12)]}


DELAY = 4000


class Echo(Finisher):
    """Adds an echo in the gaps, and holds everything until the model has finished."""

    held_s = 8.0

    def __init__(self, gaps_s):
        self.gaps_s = gaps_s

    def finish(self, blocks, first=0):
        before, start = None, first
        for restored, damaged in list(blocks):
            before = restored[:, :1].expand(-1, DELAY) * 0 if before is None else before
            joined = torch.cat([before, restored], dim=-1)
            before, length = joined[:, -DELAY:], restored.shape[-1]
            time_s = (torch.arange(length) + start) / RATE
            inside = sum((time_s >= a) & (time_s < b) for a, b in self.gaps_s) > 0
            start += length
            yield BlockPair(restored + inside * joined[:, :length], damaged)

    def needed_from(self, sample):
        return max(0, sample - DELAY)


def gap_restorer():
    torch.manual_seed(0)
    return Restorer(Model(model_config(corruption="inpainting")).eval(), "cpu", "fp32")


@pytest.fixture(scope="module")
def echoing():
    restorer = gap_restorer()
    restorer.model.corruption.finisher = lambda parameters, rate: Echo(parameters.gaps_s)
    return restorer


def test_a_finisher_changes_only_the_gaps(echoing):
    wave = 0.1 * noise(2 * RATE, channels=2)
    one, other = (each.restore(wave, RATE, **ASKED) for each in (echoing, gap_restorer()))
    changed = np.flatnonzero(np.any(np.asarray(one != other), axis=0)) / RATE
    assert len(changed)
    assert all(any(a <= t < b + 1 / RATE for a, b in ASKED["gaps_s"]) for t in changed)


@pytest.mark.parametrize("skip", [1, RATE // 2 + 100, RATE, 3 * RATE // 2])
def test_what_is_left_of_an_interrupted_run_is_the_same(echoing, skip):
    wave = torch.as_tensor(0.1 * noise(2 * RATE))
    restoration = echoing.prepare([wave], RATE, samples=2 * RATE, **ASKED)
    whole, rest = (torch.cat(list(restoration.run(first)), dim=-1) for first in (0, skip))
    assert torch.equal(rest, whole[:, skip:])


@pytest.mark.parametrize("skip", [0, 3 * RATE])
def test_progress_grows_with_the_finisher_and_ends_with_the_last_block(echoing, skip):
    wave, seen = torch.as_tensor(0.1 * noise(8 * RATE)), []
    restoration = echoing.prepare([wave], RATE, samples=8 * RATE, **MANY)
    listener = ProgressListener(lambda done, of: seen.append((done, of)))
    total = restoration.plan.frames_to_sample(echoing.model.representation)
    for block in restoration.run(skip, listener):
        assert block.shape[-1] and all(done < of for done, of in seen)
    done = [one for one, _ in seen]
    assert done == sorted(done) and seen[-1][0] == seen[-1][1] <= total
    # The model has finished long before the finisher, which moves on block by block.
    assert len({one for one in done if one > 0.8 * done[-1]}) >= 3


class Slow(Finisher):
    """A finisher that declares nothing."""

    def finish(self, blocks, first=0):
        for pair in blocks:
            time.sleep(0.1)
            yield pair


def test_a_forecast_measures_the_finisher(tmp_path):
    source = write_samples(tmp_path / "in.wav", 0.1 * noise(8 * RATE)[0])
    restorer = Restorer(Model(model_config(corruption="inpainting")).eval(), "cpu", "fp32")
    forecaster, asked = Forecaster(restorer), RestoreOptions.of(**MANY)
    model_s = forecaster.forecast(source, asked).seconds
    restorer.model.corruption.finisher = lambda parameters, rate: Slow()
    assert 0.7 < forecaster.forecast(source, asked).seconds - model_s < 8
