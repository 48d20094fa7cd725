"""A bridge that starts from a guess gives the same result in blocks as in one piece."""

import pytest
import torch
from engine_helpers import RATE, model_config
from test_streaming import in_blocks, whole

from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.testing.parts import music

SECONDS = 6.0
DAMAGE = {
    "bandwidth": {"cutoff_hz": 5000.0},
    "inpaint": {"gaps_s": [(0.0, 0.03), (2.4, 2.6), (2.7, 2.75), (3.5, 4.7), (5.9, 6.0)]},
}

PASSAGE = {"name": "similar_passage", "reach_s": 1.0, "longest_s": 0.5}


@pytest.fixture(scope="module")
def restorer():
    torch.manual_seed(0)
    parts = [
        {"corruption": {"name": "bandwidth", "fill_std": 0.05, "guess": "replication"}},
        {"corruption": {"name": "inpainting", "fill_std": 0, "guess": PASSAGE}},
    ]
    model = Model(
        model_config(
            representation={"name": "factorized", "n_fft": 2048, "hop_length": 512},
            corruption={"name": "mixture", "parts": parts},
            prediction={"name": "preconditioned", "tell": "degraded"},
            backbone={**model_config().backbone.model_dump(), "patch": (32, 1)},
        )
    )
    return Restorer(model.eval(), device="cpu", precision="fp32")


@pytest.fixture(scope="module", params=list(DAMAGE))
def restored(request, restorer):
    """The task, the recording, and what blocks of a second give."""
    task, wave = request.param, music(SECONDS, RATE)
    return task, wave, in_blocks(restorer, wave, task, DAMAGE[task], RATE)


def test_blocks_give_what_one_piece_gives(restorer, restored):
    task, wave, one = restored
    expected = whole(restorer, wave, task, DAMAGE[task])
    assert torch.allclose(one, expected, atol=2e-3)
    assert (one - wave).abs().amax() > 1e-2


def test_neither_blocks_nor_what_is_skipped_change_a_bit(restorer, restored):
    task, wave, one = restored
    assert torch.equal(one, in_blocks(restorer, wave, task, DAMAGE[task], 7777))
    skip = int(3.9 * RATE)
    rest = restorer.prepare([wave], RATE, task=task, **DAMAGE[task]).run(skip=skip)
    assert torch.equal(torch.cat(list(rest), dim=-1), one[:, skip:])
