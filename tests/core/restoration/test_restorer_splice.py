"""What was not missing comes back as it was given."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from engine_helpers import RATE, limited, model_config, noise, write_samples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_restorer import changed

from a2sb_core.audio.stretches import blank
from a2sb_core.errors import TaskError
from a2sb_core.interfaces import FrozenConfig, MaskCorruption, Recording
from a2sb_core.models.model import Model
from a2sb_core.restoration.levels import MeasuredBlocks
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.splicing import FADE_S, change_weight

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
    "form",
    [torch.Tensor.clone, as_tensor64, as_numpy32, as_numpy64, torch.Tensor.half],
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


@pytest.mark.parametrize(
    "rate", [RATE, float(RATE), np.int64(RATE)], ids=lambda r: type(r).__name__
)
@pytest.mark.parametrize(
    "layout",
    [lambda x: x[::-1], lambda x: x[:, ::-1], lambda x: x[:, ::2], lambda x: x.astype(">f4")],
    ids=["reversed channels", "reversed time", "every second sample", "big-endian"],
)
def test_the_layout_of_an_array_does_not_matter(restorer, layout, rate):
    array = layout(noise(8000, 2).numpy())
    plain = np.ascontiguousarray(array, dtype=np.float32)
    gap = {"task": "inpaint", "gaps_s": [(0.04, 0.05)]}
    restored = restorer.restore(array, rate, **gap)
    assert restored.dtype == array.dtype
    np.testing.assert_array_equal(restored, restorer.restore(plain, RATE, **gap))
    assert restorer.inspect(array, rate, **gap) == restorer.inspect(plain, RATE, **gap)
    blocks = list(restorer.prepare([array], rate, **gap).run())
    np.testing.assert_array_equal(torch.cat(blocks, dim=-1).numpy(), restored)


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_inpainting_keeps_rate_length_and_content_at_any_rate(restorer, rate):
    wave = noise(rate // 5, 2)
    restored = restorer.restore(wave, rate, task="inpaint", gaps_s=[GAP])
    assert restored.shape == wave.shape
    clear = away(rate // 5, rate=rate)
    assert torch.equal(restored[:, clear], wave[:, clear])
    inside = slice(round(GAP[0] * rate), round(GAP[1] * rate))
    assert (restored[:, inside] != wave[:, inside]).all()


@pytest.mark.parametrize("junk", [math.nan, 1e9])
def test_what_stands_in_the_gap_does_not_matter(restorer, junk):
    normal = changed(restorer.model, loudness_dbfs=-20.0)
    wave, spoilt = noise(8000), noise(8000)
    spoilt[:, INSIDE] = junk
    restored = normal.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    assert torch.equal(restored, normal.restore(spoilt, RATE, task="inpaint", gaps_s=[GAP]))


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
@given(length=st.integers(3, 2000), data=st.data())
def test_gaps_anywhere_in_audio_of_any_length(restorer, length, data):
    start = data.draw(st.integers(0, length - 2))
    stop = data.draw(st.integers(start + 1, min(length, start + length - 2)))
    wave = noise(length, 2)
    restored = restorer.restore(wave, RATE, task="inpaint", gaps_s=[(start / RATE, stop / RATE)])
    assert restored.shape == wave.shape
    assert torch.isfinite(restored).all()
    clear = away(length, (start / RATE, stop / RATE))
    assert torch.equal(restored[:, clear], wave[:, clear])


@pytest.mark.parametrize(
    ("task", "damage"),
    [("bandwidth", {}), ("bandwidth", {"cutoff_hz": 5000}), ("inpaint", {"gaps_s": [GAP]})],
)
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


@pytest.mark.parametrize("junk", [0.0, 1e9, math.nan])
@pytest.mark.parametrize("is_scanned", [True, False])
@pytest.mark.parametrize("samples", [8000, 80_000])
def test_levels_are_those_of_what_is_not_lost(junk, is_scanned, samples):
    wave = torch.tensor([[0.01], [0.001], [0.0]]) * noise(samples).sign()
    wave[:, INSIDE] = junk
    measured = MeasuredBlocks(wave.split(3000, dim=-1))
    if is_scanned:
        list(measured)
    recording = dataclasses.replace(Recording.of(wave, RATE), source=measured)
    gains = measured.gains(recording, (GAP,), -20.0)
    assert gains.tolist() == pytest.approx([10, 100, 0], rel=1e-3)
    assert measured.gains(recording, (GAP,), None).tolist() == [1, 1, 0]
    together = measured.gains(recording, (GAP,), -20.0, together=True)
    assert together.tolist() == pytest.approx([10 * (3 / 1.01) ** 0.5] * 3, rel=1e-3)


def test_silence_and_an_offset_do_not_count_as_loudness():
    wave = noise(RATE, 2)
    wave[1] += 0.3
    padded = torch.nn.functional.pad(wave, (0, 3 * RATE))
    plain, other = (
        MeasuredBlocks(x.split(5000, dim=-1)).gains(Recording.of(x, RATE), (), -20.0)
        for x in (wave, padded)
    )
    torch.testing.assert_close(plain, torch.full_like(plain, 0.5), rtol=0.02, atol=0)
    torch.testing.assert_close(other, plain, rtol=0.03, atol=0)


@given(size=st.integers(100, 9000))
def test_levels_and_coherence_do_not_depend_on_blocks(size):
    wave = noise(20_000, 2)
    wave[1] = 0.6 * wave[0] - 0.8 * wave[1]
    whole, parts = (MeasuredBlocks(wave.split(n, dim=-1)).scanned() for n in (20_000, size))
    assert torch.equal(whole.energies, parts.energies)
    one, other = whole.coherence(RATE), parts.coherence(RATE)
    assert torch.equal(one.values, other.values) and torch.equal(one.signs, other.signs)


class Hole(MaskCorruption):
    """A stretch that is missing somewhere else than its corruption says."""

    task = "hole"

    class Config(MaskCorruption.Config):
        name: str = "hole"
        shift_s: float = 0.0

    class Parameters(FrozenConfig):
        at_s: float

    def missing(self, grid, parameters):
        low = parameters.at_s - grid.frame_s / 2
        frames = (grid.times_s > low) & (grid.times_s < low + 0.02 + grid.frame_s)
        return frames[None].expand(grid.shape)

    def stretches(self, parameters):
        start = parameters.at_s + self.config.shift_s
        return ((start, start + 0.02),)


@pytest.mark.parametrize("shift_s", [-0.2, -0.02, 0.015, 0.1])
def test_stretches_that_disagree_with_what_is_missing_are_refused_before_the_work(
    shift_s, tmp_path
):
    wave = noise(RATE // 2)
    source = write_samples(tmp_path / "in.wav", wave[0])
    for shift in (0.0, shift_s):
        corruption = Hole.Config(shift_s=shift)
        other = Restorer(Model(model_config(corruption=corruption)), "cpu", "fp32")
        target = tmp_path / f"{shift}.wav"
        if shift == 0:
            other.restore_file(source, target, task="hole", at_s=0.25)
            continue
        with pytest.raises(TaskError, match="corruption `hole` contradicts itself"):
            other.restore_file(source, target, task="hole", at_s=0.25)
        assert not target.exists()


def test_damage_beyond_the_audio_is_refused_whatever_the_corruption_checks():
    class Trusting(Hole):
        class Config(Hole.Config):
            name: str = "trusting"

        def inspect(self, recording, given=None):
            return given

    other = Restorer(Model(model_config(corruption=Trusting.Config())), "cpu", "fp32")
    with pytest.raises(TaskError, match="does not lie within the audio"):
        other.restore(noise(RATE // 2), RATE, task="hole", at_s=99999.0)
