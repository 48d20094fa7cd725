"""Left and right, middle and side, mono."""

import numpy as np
import pytest
import torch
from engine_helpers import limited, model_config, noise
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import Noise
from a2sb_core.models.model import Model
from a2sb_core.restoration.levels import MeasuredBlocks
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.stereo import channels_of, check_stereo, form, restore_form

RATE = 44100
SAMPLES = st.floats(-1, 1, width=32, allow_subnormal=False)


@given(wave=arrays(np.float32, st.tuples(st.just(2), st.integers(1, 40)), elements=SAMPLES))
def test_middle_and_side_turned_back_are_the_samples_themselves(wave):
    given_ = torch.from_numpy(wave)
    turned = form(given_, "ms")
    back = restore_form(turned, "ms", torch.float32)
    # Beside a large sample a tiny one is kept to the double precision of the larger.
    torch.testing.assert_close(back, given_, rtol=1e-7, atol=1e-15)
    on_16_bits = (given_ * 32767).round() / 32768
    assert torch.equal(restore_form(form(on_16_bits, "ms"), "ms", torch.float32), on_16_bits)
    np.testing.assert_allclose(
        turned.square().sum(), given_.double().square().sum(), rtol=1e-12, atol=1e-30
    )


def test_middle_is_what_both_have_and_mono_is_their_mean():
    pair = torch.tensor([[1.0, 0.5], [1.0, -0.5]])
    middle, side = form(pair, "ms")
    assert middle.tolist() == pytest.approx([2**0.5, 0])
    assert side.tolist() == pytest.approx([0, 0.5**0.5])
    assert form(pair, "mono").tolist() == [[1.0, 0.0]]
    assert channels_of("mono", 2) == 1
    for stereo in ("lr", "ms", "mono"):
        assert torch.equal(form(pair[:1], stereo), pair[:1])


@pytest.mark.parametrize(
    ("stereo", "channels", "message"), [("sm", 2, "lr, ms, mono"), ("ms", 6, "use `lr`")]
)
def test_what_can_not_be_is_refused(stereo, channels, message):
    with pytest.raises(TaskError, match=message):
        check_stereo(RestoreOptions("inpaint", stereo=stereo).stereo, channels)


def test_each_mode_restores_the_gap_and_keeps_the_rest():
    torch.manual_seed(0)
    restorer = Restorer(Model(model_config()), "cpu", "fp32")
    wave = torch.cat([noise(RATE // 2, seed=k) for k in (1, 2)])
    wave[:, 9000:9400] = 0
    gap = [(9000 / RATE, 9400 / RATE)]
    found = {
        stereo: restorer.restore(wave, RATE, task="inpaint", gaps_s=gap, stereo=stereo)
        for stereo in ("lr", "ms", "mono")
    }
    assert [len(x) for x in found.values()] == [2, 2, 1]
    assert not torch.equal(found["lr"], found["ms"])
    for stereo in ("lr", "ms"):
        kept = found[stereo]
        assert kept.dtype == wave.dtype
        assert torch.equal(kept[:, :8000], wave[:, :8000])
        assert torch.equal(kept[:, 11_000:], wave[:, 11_000:])
        assert float(kept[:, 9050:9350].abs().max()) > 1e-4
    torch.testing.assert_close(found["mono"][:, :8000], wave[:, :8000].mean(0, keepdim=True))
    alone = restorer.restore(wave.mean(0), RATE, task="inpaint", gaps_s=gap)
    torch.testing.assert_close(found["mono"][0], alone)


@pytest.fixture(scope="module")
def levelled():
    """A restorer with random weights that brings channels to a level."""
    torch.manual_seed(0)
    return Restorer(Model(model_config(loudness_dbfs=-20.0)), "cpu", "fp32")


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.03, 0.0])
def test_a_channel_that_follows_the_other_one_stays_so(levelled, gain):
    """Dual mono, opposite polarity, a softer channel, a silent one."""
    wave = limited(RATE, 4000)
    pair = torch.cat([wave, gain * wave])
    left, right = levelled.restore(pair, RATE, task="bandwidth", cutoff_hz=4000.0)
    torch.testing.assert_close(right, gain * left, rtol=1e-3, atol=1e-4 * abs(gain))
    assert not torch.equal(left, wave[0])


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9, -0.6])
def test_coherence_is_measured_in_the_bands_that_have_content(correlation):
    left, other = limited(5 * RATE, 4000), limited(10 * RATE, 4000)[:, 5 * RATE :]
    right = correlation * left + (1 - correlation**2) ** 0.5 * other
    blocks = MeasuredBlocks([torch.cat([left, right])])
    coherence = blocks.scanned().coherence(RATE)
    found = coherence.at(torch.tensor([1000.0, 3000.0, 10_000.0, 22_050.0]))
    torch.testing.assert_close(found[0], torch.ones(4).double())
    torch.testing.assert_close(
        found[1], torch.full((4,), abs(correlation)).double(), rtol=0, atol=0.12
    )
    assert correlation == 0 or coherence.signs.tolist() == [1, np.sign(correlation)]


def test_noise_has_the_coherence_that_is_asked_for():
    rows = torch.tensor([0.0, 0.5, 1.0])
    noise_ = Noise(1, 4, 3, coherence=torch.stack([torch.ones(3), rows]))
    first, second = noise_.at(0, 5, 5005)
    assert torch.equal(first, Noise(1, 4, 3).at(0, 5, 5005))
    assert torch.equal(second[:, 2], first[:, 2])
    torch.testing.assert_close((first * second).mean(dim=(0, 2)), rows, rtol=0, atol=0.03)
    torch.testing.assert_close(second.std(dim=(0, 2)), torch.ones(3), rtol=0, atol=0.03)
    assert torch.equal(noise_.at(0, 5, 105), noise_.at(0, 0, 105)[..., 5:])
