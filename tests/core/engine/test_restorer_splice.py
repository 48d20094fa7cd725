"""What was not missing comes back as it was given."""

import numpy as np
import pytest
import torch
from engine_helpers import RATE, limited, noise
from hypothesis import example, given, settings
from hypothesis import strategies as st

from a2sb_core.engine.splice import FADE_S, blank, change_weight

GAP = (0.05, 0.07)
INSIDE = slice(round(GAP[0] * RATE), round(GAP[1] * RATE))


def away(length, gap=GAP, rate=RATE):
    """Samples that a gap and its fades leave alone."""
    time, fade = torch.arange(length) / rate, FADE_S + 2 / rate
    return (time < gap[0] - fade) | (time > gap[1] + fade)


def as_numpy32(wave):
    return wave.numpy()


def as_numpy64(wave):
    return wave.numpy().astype(np.float64) + 1e-12


def as_tensor64(wave):
    return wave.double() + 1e-12


FORMS = pytest.mark.parametrize(
    "form", [torch.Tensor.clone, as_tensor64, as_numpy32, as_numpy64, torch.Tensor.half],
    ids=["float32", "float64", "numpy32", "numpy64", "float16"],
)


@FORMS
@pytest.mark.parametrize("channels", [0, 1, 2])
def test_inpainting_keeps_everything_away_from_the_gap_to_the_bit(restorer, form, channels):
    wave = form(noise(8000, max(channels, 1)))
    wave = wave if channels else wave[0]
    restored = restorer.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    assert type(restored) is type(wave)
    assert restored.dtype == wave.dtype
    assert restored.shape == wave.shape
    kept, before = torch.as_tensor(restored), torch.as_tensor(wave)
    clear = away(8000)
    assert torch.equal(kept[..., clear], before[..., clear])
    assert not torch.equal(kept[..., INSIDE], before[..., INSIDE])
    assert torch.isfinite(kept).all()


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_inpainting_keeps_rate_length_and_content_at_any_rate(restorer, rate):
    wave = noise(rate // 5, 2)
    restored = restorer.restore(wave, rate, task="inpaint", gaps_s=[GAP])
    assert restored.shape == wave.shape
    clear = away(rate // 5, rate=rate)
    assert torch.equal(restored[:, clear], wave[:, clear])
    inside = slice(round(GAP[0] * rate), round(GAP[1] * rate))
    assert (restored[:, inside] != wave[:, inside]).all()


@pytest.mark.parametrize("form", [as_numpy32, as_numpy64, torch.Tensor.clone])
@pytest.mark.parametrize("channels", [0, 2])
def test_bandwidth_keeps_type_and_form(restorer, form, channels):
    wave = form(limited(6000, 4000, channels=max(channels, 1)))
    wave = wave if channels else wave[0]
    restored = restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=4000)
    assert type(restored) is type(wave)
    assert restored.dtype == wave.dtype
    assert restored.shape == wave.shape
    assert not np.array_equal(np.asarray(restored), np.asarray(wave))


def test_what_stands_in_the_gap_does_not_matter(restorer):
    wave, spoilt = noise(8000), noise(8000)
    spoilt[:, INSIDE] = float("nan")
    restored = restorer.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    assert torch.equal(restored, restorer.restore(spoilt, RATE, task="inpaint", gaps_s=[GAP]))


def test_an_offset_of_the_input_stays(restorer):
    wave = limited(12_000, 4000)
    lifted = wave + 0.25
    for task, damage in (("bandwidth", {"cutoff_hz": 4000}), ("inpaint", {"gaps_s": [GAP]})):
        clear = away(12_000) if task == "inpaint" else slice(None)
        restored = restorer.restore(lifted, RATE, task=task, **damage)
        assert float((restored - lifted)[:, clear].mean()) == pytest.approx(0, abs=0.02)
    unchanged = restorer.restore(lifted, RATE, task="bandwidth", cutoff_hz=22_000)
    assert float(unchanged.mean()) == pytest.approx(float(lifted.mean()), abs=1e-3)


def test_content_below_the_cutoff_stays(restorer):
    wave = limited(12_000, 6000)
    restored = restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=8000)
    change = torch.fft.rfft((restored - wave) * torch.hann_window(12_000)).abs().square()
    low, high = int(6000 * 12_000 / RATE), int(8000 * 12_000 / RATE)
    assert change[:, :low].mean() < 1e-3 * change[:, high:].mean()


@settings(max_examples=12)
@given(length=st.integers(1, 3000), channels=st.integers(1, 6))
@example(length=1, channels=1)
@example(length=64, channels=6)
@example(length=129, channels=2)
def test_any_length_and_number_of_channels_can_be_extended(restorer, length, channels):
    wave = noise(length, channels)
    restored = restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=5000)
    assert restored.shape == (channels, length)
    assert torch.isfinite(restored).all()


@settings(max_examples=12)
@given(length=st.integers(3, 2000), data=st.data())
def test_gaps_anywhere_in_audio_of_any_length(restorer, length, data):
    start = data.draw(st.integers(0, length - 2))
    stop = data.draw(st.integers(start + 1, min(length, start + length - 2)))
    wave = noise(length, 2)
    restored = restorer.restore(
        wave, RATE, task="inpaint", gaps_s=[(start / RATE, stop / RATE)]
    )
    assert restored.shape == wave.shape
    assert torch.isfinite(restored).all()
    clear = away(length, (start / RATE, stop / RATE))
    assert torch.equal(restored[:, clear], wave[:, clear])


@pytest.mark.parametrize(("task", "damage"), [
    ("bandwidth", {}), ("bandwidth", {"cutoff_hz": 5000}), ("inpaint", {"gaps_s": [GAP]}),
])
def test_the_input_stays_as_it_is_and_shares_nothing_with_the_result(restorer, task, damage):
    wave = noise(8000)
    kept = wave.clone()
    restored = restorer.restore(wave, RATE, task=task, **damage)
    assert torch.equal(wave, kept)
    restored += 1
    assert torch.equal(wave, kept)


def test_weight_is_one_in_the_gap_and_fades_to_exactly_zero():
    weight = change_weight(((0.3, 0.4), (0.95, 1.0)), 1000, 1000)
    assert weight.shape == (1000,)
    assert (weight[300:400] == 1).all()
    assert (weight[950:] == 1).all()
    before, after = weight[292:300], weight[400:408]
    assert ((before > 0) & (before < 1)).all()
    assert (before.diff() > 0).all()
    torch.testing.assert_close(after, before.flip(0))
    assert (weight[:292] == 0).all()
    assert (weight[408:942] == 0).all()
    assert change_weight(None, 1000, 1000) is None


def test_weights_of_close_gaps_do_not_erase_each_other():
    weight = change_weight(((0.1, 0.2), (0.203, 0.3)), 1000, 400)
    assert (weight[100:200] == 1).all()
    assert (weight[203:300] == 1).all()
    assert (weight[200:203] > 0.5).all()
    other_order = change_weight(((0.203, 0.3), (0.1, 0.2)), 1000, 400)
    assert torch.equal(other_order, weight)


def test_blanking_covers_every_sample_the_gap_reaches():
    wave = torch.ones(2, 100)
    blanked = blank(wave, ((0.0205, 0.0304), (0.099, 0.1)), 1000)
    assert (wave == 1).all()
    assert not blanked[:, 20:31].any()
    assert not blanked[:, 99:].any()
    assert (blanked[:, :20] == 1).all()
    assert (blanked[:, 31:99] == 1).all()
    assert torch.equal(blank(wave, None, 1000), wave)
