"""A recording that is polished after the model, as a whole, in part, and resumed."""

import numpy as np
import pytest
import torch
from engine_helpers import RATE, model_config, noise

from a2sb_core.engine.model import Model
from a2sb_core.engine.restorer import Restorer

ASKED = {"task": "inpaint", "gaps_s": [(0.5, 0.52), (1.1, 1.12)]}


@pytest.fixture(scope="module")
def polishing():
    torch.manual_seed(0)
    corruption = {"name": "inpainting", "tones": True}
    return Restorer(Model(model_config(corruption=corruption)).eval(), "cpu", "fp32")


def test_only_the_gaps_differ_from_what_is_not_polished(polishing):
    torch.manual_seed(0)
    plain = Restorer(Model(model_config(corruption="inpainting")).eval(), "cpu", "fp32")
    wave = 0.1 * noise(2 * RATE, channels=2)
    one, other = (each.restore(wave, RATE, **ASKED) for each in (polishing, plain))
    changed = np.flatnonzero(np.any(np.asarray(one != other), axis=0)) / RATE
    assert len(changed)
    assert all(any(a <= t < b + 1 / RATE for a, b in ASKED["gaps_s"]) for t in changed)


@pytest.mark.parametrize("skip", [1, RATE // 2 + 100, RATE, 3 * RATE // 2])
def test_what_is_left_of_an_interrupted_run_is_the_same(polishing, skip):
    wave = torch.as_tensor(0.1 * noise(2 * RATE))
    whole, rest = (
        torch.cat(list(polishing.job([wave], RATE, samples=2 * RATE, **ASKED).run(first)), dim=-1)
        for first in (0, skip)
    )
    assert torch.equal(rest, whole[:, skip:])
