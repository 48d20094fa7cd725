"""A live source: how much of it is read before the result appears."""

import math

import pytest
import torch
from engine_helpers import RATE, limited, model_config

from a2sb_core import Chain, RestoreOptions, Restorer
from a2sb_core.models.model import Model
from a2sb_core.restoration.sources import AudioSource

BLOCK = 441
EXTEND = RestoreOptions("bandwidth", {"cutoff_hz": 3000.0, "edge_hz": 2800.0})
FILL = RestoreOptions("inpaint", {"gaps_s": [(0.5, 0.51), (2.0, 2.01)]})


def played(prepare, wave, rate):
    """Restore blocks as they arrive; return the result, its latency and the largest lag in s."""
    taken = given = 0
    lags = []

    def arriving():
        nonlocal taken
        for block in torch.split(wave, BLOCK, dim=-1):
            taken += block.shape[-1]
            yield block
        taken = -1  # the end of a source has nothing to wait for

    restoration, blocks = prepare(arriving()), []
    for block in restoration.run():
        if taken >= 0:
            lags.append(taken / rate - given / restoration.output_rate)
        given += block.shape[-1]
        blocks.append(block)
    return torch.cat(blocks, dim=-1), restoration.latency_s, max(lags)


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (48000, 2), (16000, 1)])
@pytest.mark.parametrize("options", [EXTEND, FILL], ids=["bandwidth", "inpaint"])
def test_the_latency_is_bounded(restorer, options, rate, channels):
    wave = limited(3 * rate, 3000, rate, channels)
    restored, latency_s, lag_s = played(
        lambda blocks: restorer.prepare(blocks, rate, options), wave, rate
    )
    assert latency_s / 3 < lag_s <= latency_s + BLOCK / rate
    assert latency_s < 2
    assert restored.shape[0] == channels


def test_the_level_of_a_live_source_can_be_stated(model):
    config = model_config(loudness_dbfs=-20.0)
    loud = Model(config)
    loud.load_state_dict(model.state_dict())
    restorer = Restorer(loud, "cpu", "fp32")
    wave = limited(2 * RATE, 3000)
    wave[:, :RATE] *= 0.01  # a quiet beginning
    level = float(20 * torch.log10(wave.square().mean().sqrt()))
    expected = restorer.restore(wave, RATE, EXTEND)
    stated = RestoreOptions("bandwidth", EXTEND.damage, level_dbfs=level)
    errors = []
    for options in (stated, EXTEND):
        blocks = iter(torch.split(wave, BLOCK, dim=-1))
        restored = torch.cat(list(restorer.prepare(blocks, RATE, options).run()), dim=-1)
        errors.append(float((restored - expected).abs().max()))
    assert errors[0] < errors[1] / 100


def test_the_latencies_of_a_chain_add_up(restorer):
    wave = limited(3 * RATE, 3000)
    chain = Chain([(restorer, FILL), (restorer, EXTEND)])
    _, latency_s, lag_s = played(
        lambda blocks: chain.prepare_file(AudioSource("live", RATE, 1, None, blocks)), wave, RATE
    )
    assert latency_s == pytest.approx(
        sum(restorer.prepare([wave], RATE, one).latency_s for one in (FILL, EXTEND))
    )
    assert lag_s <= latency_s + 2 * BLOCK / RATE


def test_a_sampler_without_windows_waits_for_the_end(model):
    whole = Model(model_config(sampler={"name": "implicit", "steps": 1}))
    restoration = Restorer(whole, "cpu", "fp32").prepare([limited(9000, 3000)], RATE, EXTEND)
    assert math.isinf(restoration.latency_s)
