"""A recording that a finisher edits after the model, as a whole, in part, and resumed."""

import time

import numpy as np
import pytest
import torch
from engine_helpers import RATE, model_config, noise, write_samples

from a2sb_core.interfaces import Finisher
from a2sb_core.models.model import Model
from a2sb_core.restoration.forecast import Forecaster
from a2sb_core.restoration.listener import ProgressListener
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.restorer import Restorer

MANY = {"task": "inpaint", "gaps_s": [(t + 0.2, t + 0.22) for t in range(8)]}
ASKED = {"task": "inpaint", "gaps_s": [(0.5, 0.52), (1.1, 1.12)]}


@pytest.fixture(scope="module")
def tonal():
    torch.manual_seed(0)
    corruption = {"name": "inpainting", "tones": True}
    return Restorer(Model(model_config(corruption=corruption)).eval(), "cpu", "fp32")


def test_a_finisher_changes_only_the_gaps(tonal):
    torch.manual_seed(0)
    plain = Restorer(Model(model_config(corruption="inpainting")).eval(), "cpu", "fp32")
    wave = 0.1 * noise(2 * RATE, channels=2)
    one, other = (each.restore(wave, RATE, **ASKED) for each in (tonal, plain))
    changed = np.flatnonzero(np.any(np.asarray(one != other), axis=0)) / RATE
    assert len(changed)
    assert all(any(a <= t < b + 1 / RATE for a, b in ASKED["gaps_s"]) for t in changed)


@pytest.mark.parametrize("skip", [1, RATE // 2 + 100, RATE, 3 * RATE // 2])
def test_what_is_left_of_an_interrupted_run_is_the_same(tonal, skip):
    wave = torch.as_tensor(0.1 * noise(2 * RATE))
    restoration = tonal.prepare([wave], RATE, samples=2 * RATE, **ASKED)
    whole, rest = (torch.cat(list(restoration.run(first)), dim=-1) for first in (0, skip))
    assert torch.equal(rest, whole[:, skip:])


@pytest.mark.parametrize("skip", [0, 3 * RATE])
def test_progress_grows_with_the_finisher_and_ends_with_the_last_block(tonal, skip):
    wave, seen = torch.as_tensor(0.1 * noise(8 * RATE)), []
    restoration = tonal.prepare([wave], RATE, samples=8 * RATE, **MANY)
    listener = ProgressListener(lambda done, of: seen.append((done, of)))
    total = restoration.plan.frames_to_sample(tonal.model.representation)
    for block in restoration.run(skip, listener):
        assert block.shape[-1] and all(done < of for done, of in seen)
    done = [one for one, _ in seen]
    assert done == sorted(done) and seen[-1][0] == seen[-1][1] <= total
    # The model has finished long before the finisher, which moves on gap by gap.
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
