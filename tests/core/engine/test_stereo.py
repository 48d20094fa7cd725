"""Left and right, middle and side, mono."""

import numpy as np
import pytest
import torch
from engine_helpers import model_config, noise
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from a2sb_core.engine.model import Model
from a2sb_core.engine.restorer import Restorer
from a2sb_core.engine.stereo import channels_of, check_stereo, form, restore_form
from a2sb_core.errors import TaskError

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


@pytest.mark.parametrize(("stereo", "channels", "message"), [
    ("sm", 2, "unknown stereo mode `sm`; use one of lr, ms, mono"), ("ms", 6, "use `lr`"),
])
def test_what_can_not_be_is_refused(stereo, channels, message):
    with pytest.raises(TaskError, match=message):
        check_stereo(stereo, channels)


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
