import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from task_helpers import grid, item, music, plane, white

from a2sb_core.interfaces import (
    ConfigError,
    FrozenConfig,
    MaskCorruption,
    Noise,
    Recording,
    TaskError,
)
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.representations.factorized import Factorized

RATE = 44100
NOISE = Noise(3, 3, 32)


def factorized():
    return Factorized.Config(n_fft=64, hop_length=16, sample_rate=1600).build()


def gaps(*pairs):
    return Inpainting.Parameters(gaps_s=pairs)


def cutoff(hz):
    return Bandwidth.Parameters(cutoff_hz=hz)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_bandwidth_misses_rows_from_the_cutoff_up():
    bandwidth = Bandwidth.Config().build()
    where = grid([100, 200, 300, 400], [0, 1])
    cases = {1: [1] * 4, 250: [0, 0, 1, 1], 300: [0, 0, 1, 1], 301: [0, 0, 0, 1], 401: [0] * 4}
    for hz, rows in cases.items():
        missing = bandwidth.missing(where, cutoff(hz))
        assert missing.dtype == torch.bool
        assert missing.shape == (4, 2)
        assert missing.int().tolist() == [[row, row] for row in rows]


def test_inside_takes_frames_whose_middle_lies_in_the_gap():
    inpainting = Inpainting.Config(edges="inside").build()
    where = grid([1, 2], [0.0, 0.1, 0.2, 0.3, 0.4], frame_s=0.2)
    missing = inpainting.missing(where, gaps((0.15, 0.35)))
    assert missing.int().tolist() == [[0, 0, 1, 1, 0]] * 2
    assert not inpainting.missing(where, gaps((0.21, 0.29))).any()


def test_touched_takes_frames_that_reach_into_the_gap():
    inpainting = Inpainting.Config(edges="touched").build()
    where = grid([1, 2], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], frame_s=0.21)
    missing = inpainting.missing(where, gaps((0.21, 0.29)))
    assert missing.int().tolist() == [[0, 0, 1, 1, 0, 0]] * 2
    missing = inpainting.missing(where, gaps((0.19, 0.21), (0.45, 0.5)))
    assert missing.int().tolist() == [[0, 1, 1, 1, 1, 1]] * 2


@example(start=48, count=1, length=1600)
@given(start=st.integers(0, 1500), count=st.integers(1, 600), length=st.sampled_from([1600, 1611]))
def test_every_frame_that_a_silent_gap_changes_is_missing(start, count, length):
    representation, wave = factorized(), white(length)
    stop = min(start + count, length)
    parameters = gaps((start / 1600, stop / 1600))
    silenced = wave.clone()
    silenced[:, start:stop] = 0
    changed = representation.spectrum(wave) - representation.spectrum(silenced)
    changed = changed.abs().amax(dim=(0, 1))
    missing = Inpainting.Config().build().missing(representation.grid(length), parameters)[0]
    assert (changed[:-1][~missing[:-1]] < 1e-6).all()
    # The last frame also sees one mirrored sample, through the very foot of the window.
    assert (changed[-1:][~missing[-1:]] < 5e-3).all()
    # No frame is given up that lies wholly outside.
    clear = torch.tensor(
        [frame * 16 + 32 <= start or frame * 16 - 32 >= stop for frame in range(len(missing))]
    )
    assert not missing[clear].any()


@given(start=st.floats(0, 0.9), seconds=st.floats(1e-4, 0.5))
def test_gaps_between_samples_count_by_the_samples_they_reach(start, seconds):
    representation, wave = factorized(), white(3200)
    end = start + seconds
    silenced = wave.clone()
    silenced[:, math.floor(start * 1600) : math.ceil(end * 1600)] = 0
    changed = representation.spectrum(wave) - representation.spectrum(silenced)
    missing = Inpainting.Config().build().missing(representation.grid(3200), gaps((start, end)))[0]
    assert (changed.abs().amax(dim=(0, 1))[~missing] < 1e-6).all()


@pytest.mark.parametrize("hours", [1, 3])
def test_gaps_in_long_recordings_take_the_right_frames(hours):
    representation = Factorized.Config().build()
    inpainting = Inpainting.Config(edges="inside").build()
    frame = hours * 3600 * 44100 // 512
    start, end = (frame * 512 - 2) / 44100, (frame * 512 + 2) / 44100
    missing = inpainting.missing(representation.grid((frame + 40) * 512), gaps((start, end)))[0]
    assert missing.nonzero().flatten().tolist() == [frame]


CASES = pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (Bandwidth.Config(), cutoff(300)),
        (Inpainting.Config(), gaps((0.2, 0.3), (0.5, 0.6))),
        (Inpainting.Config(edges="inside"), gaps((0.2, 0.3))),
    ],
    ids=["bandwidth", "touched", "inside"],
)


@CASES
def test_known_content_stays_and_missing_content_becomes_noise(config, parameters):
    clean = item(factorized(), music(1600, 2, 1600))
    for fill_std in (0.1, 0.5):
        corruption = config.model_copy(update={"fill_std": fill_std}).build()
        degraded = corruption.degrade(clean, parameters, NOISE)
        assert 0 < degraded.missing.float().mean() < 1
        fill = fill_std * NOISE.at(0, 0, clean.z.shape[-1]).expand_as(clean.z)
        assert torch.equal(degraded.x1, torch.where(degraded.missing, fill, clean.z))


@CASES
@pytest.mark.parametrize("junk", [7.0, float("nan"), float("inf")])
def test_observing_never_looks_at_what_is_missing(config, parameters, junk):
    corruption, damaged = config.build(), item(factorized(), music(1600, 2, 1600))
    first = corruption.observe(damaged, parameters, NOISE)
    spoilt = damaged.z.masked_fill(first.missing, junk)
    again = corruption.observe(replace(damaged, z=spoilt), parameters, NOISE)
    assert torch.equal(first.x1, again.x1)
    assert torch.equal(first.missing, again.missing)


def test_drawn_cutoffs_cover_their_range():
    bandwidth = Bandwidth.Config(low_hz=3000, high_hz=9000).build()
    drawn = [bandwidth.draw(3.0, generator(seed)).cutoff_hz for seed in range(400)]
    assert 3000 <= min(drawn) < 3200
    assert 8800 < max(drawn) <= 9000
    assert sum(drawn) / 400 == pytest.approx(6000, abs=300)


def test_drawn_gaps_cover_their_range_and_lie_within_the_audio():
    inpainting = Inpainting.Config(low_s=0.1, high_s=1.6).build()
    drawn = [inpainting.draw(2.97, generator(seed)).gaps_s for seed in range(400)]
    assert all(len(pairs) == 1 for pairs in drawn)
    starts, sizes = [p[0][0] for p in drawn], [p[0][1] - p[0][0] for p in drawn]
    assert min(starts) >= 0
    assert max(start + size for start, size in zip(starts, sizes, strict=True)) <= 2.97 + 1e-9
    assert 0.1 - 1e-9 <= min(sizes) < 0.15
    assert 1.55 < max(sizes) <= 1.6 + 1e-9
    assert min(starts) < 0.1
    assert sum(sizes) / 400 == pytest.approx(0.85, abs=0.07)


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (Bandwidth.Config, {"low_hz": 9000, "high_hz": 3000}),
        (Bandwidth.Config, {"low_hz": 17_000}),
        (Inpainting.Config, {"low_s": 1.0, "high_s": 0.5}),
    ],
)
def test_ranges_must_ascend(config, fields):
    with pytest.raises(ValueError, match=r"low_\w+ \([\d.]+\) must not exceed high_\w+ \([\d.]+\)"):
        config(**fields)
    same = {name: 1000 for name in config.model_fields if name.startswith(("low", "high"))}
    assert config(**same).build().draw(2000.0, generator(0)) is not None


@given(duration=st.floats(0.001, 4), seed=st.integers(0, 10_000))
def test_drawn_gaps_leave_something_of_short_audio(duration, seed):
    ((start, end),) = Inpainting.Config().build().draw(duration, generator(seed)).gaps_s
    assert 0 <= start < end <= duration * (1 + 1e-9)
    assert end - start <= 0.7 * duration * (1 + 1e-9)


@pytest.mark.parametrize(
    ("given", "merged"),
    [
        ([(0.5, 0.7), (0.1, 0.2)], ((0.1, 0.2), (0.5, 0.7))),
        ([(0.1, 0.3), (0.2, 0.4)], ((0.1, 0.4),)),
        ([(0.1, 0.9), (0.2, 0.4)], ((0.1, 0.9),)),
        ([(0.1, 0.2), (0.2, 0.4)], ((0.1, 0.4),)),
        ([(0.3, 0.4), (0.3, 0.4)], ((0.3, 0.4),)),
    ],
)
def test_gaps_are_sorted_and_merged(given, merged):
    assert Inpainting.Parameters(gaps_s=given).gaps_s == merged
    assert Inpainting.Config().build().stretches(gaps(*given)) == merged


@pytest.mark.parametrize(
    "pair", [(0.5, 0.5), (0.5, 0.4), (-0.1, 0.4), (0.0, float("inf")), (float("nan"), 1.0)]
)
def test_a_gap_must_have_a_start_before_its_end(pair):
    with pytest.raises(ConfigError, match="0 <= start < end"):
        Inpainting.Parameters(gaps_s=(pair,))


def inspect(kind, wave, given=None, rate=RATE, model_rate=None):
    return kind.Config().build().inspect(Recording.of(wave, rate, model_rate), given)


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        ([(0.2, 0.3), (0.9, 1.1)], "within"),
        ([], "gaps is empty"),
        ([(0.0, 0.5), (0.5, 1.0)], "whole audio"),
    ],
)
def test_gaps_that_cannot_be_filled_are_refused(pairs, word):
    with pytest.raises(TaskError, match=word):
        inspect(Inpainting, white(RATE), gaps(*pairs))


def test_gaps_that_lie_within_the_audio_stay_as_they_are():
    for known in (gaps((0.5, 1.0)), gaps((0.5, 1.0 + 0.5 / RATE))):
        assert inspect(Inpainting, white(RATE), known) == known


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_a_cutoff_leaves_something_above_it_at_the_models_rate(rate):
    wave = white(rate)
    assert inspect(Bandwidth, wave, cutoff(3990), rate, 8000).cutoff_hz == 3990
    with pytest.raises(TaskError, match=r"4000 Hz"):
        inspect(Bandwidth, wave, cutoff(4000), rate, 8000)
    with pytest.raises(ConfigError, match="greater than 0"):
        cutoff(0)


def test_gaps_are_found_where_music_breaks_off():
    wave, notes = 0.1 * plane(2, RATE), []
    assert inspect(Inpainting, wave) is None
    broken = wave.clone()
    broken[:, 10_000:12_000] = 0
    broken[0, 30_000:30_010] = float("nan")
    broken[1, 44_090:] = float("inf")
    recording = replace(Recording.of(broken, RATE), note=notes.append)
    found = Inpainting.Config().build().inspect(recording)
    expected = [(9_999, 12_001), (29_999, 30_011), (44_089, 44_100)]
    assert [(a * RATE, b * RATE) for a, b in found.gaps_s] == [
        pytest.approx(pair, abs=0.01) for pair in expected
    ]
    assert len(notes) == 3
    with pytest.raises(TaskError, match="whole recording"):
        Inpainting.Config().build().inspect(replace(recording, is_partial=True))


def limited(gain_at, rate=RATE):
    """Two channels of noise whose spectrum is scaled by a function of the frequency in Hz."""
    spectrum = torch.fft.rfft(plane(2, rate))
    freqs_hz = torch.arange(spectrum.shape[-1], dtype=torch.float32)
    return torch.fft.irfft(spectrum * gain_at(freqs_hz), rate)


def test_bandwidth_finds_the_cutoff_of_limited_audio():
    found = inspect(Bandwidth, limited(lambda f: f < 8000))
    assert found.cutoff_hz == pytest.approx(8000, rel=0.02)
    assert inspect(Bandwidth, white(RATE)) is None
    assert inspect(Bandwidth, white(8000), rate=8000, model_rate=RATE).cutoff_hz < 4000


@pytest.mark.parametrize("hz", [2500.0, 4000.0, 12_000.0])
def test_content_is_missing_from_where_the_filter_begins_to_bite(hz):
    slope = limited(lambda f: 10 ** (-2 * ((f / hz - 0.9) / 0.1).clamp(0, 1)) * (f < hz))
    found = inspect(Bandwidth, slope, cutoff(hz))
    assert found.cutoff_hz == hz
    assert 0.9 * hz < found.missing_from_hz < 0.96 * hz
    sharp = inspect(Bandwidth, limited(lambda f: f < hz), cutoff(hz))
    assert hz - 25 < sharp.missing_from_hz <= hz
    full = inspect(Bandwidth, limited(torch.ones_like), cutoff(hz))
    assert hz - 15 < full.missing_from_hz <= hz
    asked = Bandwidth.Parameters(cutoff_hz=hz, edge_hz=2000.0)
    assert inspect(Bandwidth, slope, asked) == asked


@pytest.mark.parametrize("wave", [torch.zeros(1, RATE), white(3000), white(1)])
def test_audio_that_says_nothing_leaves_the_cutoff(wave):
    found = inspect(Bandwidth, wave, cutoff(4000))
    assert found.missing_from_hz == pytest.approx(4000, abs=11)
    assert inspect(Bandwidth, wave, cutoff(100)).missing_from_hz == 100


def test_nothing_is_missing_above_the_ceiling():
    representation = factorized()
    shown, frames = representation.grid(1600), representation.frames(1600)
    parameters = Bandwidth.Parameters(cutoff_hz=200, ceiling_hz=500)
    rows = Bandwidth.Config().build().missing(shown, parameters)[:, 0]
    assert torch.equal(rows, (shown.freqs_hz >= 200) & (shown.freqs_hz < 500)) and frames
    with pytest.raises(ValueError, match="above the cutoff"):
        Bandwidth.Parameters(cutoff_hz=500, ceiling_hz=400)


def test_a_ceiling_is_given_with_or_without_the_cutoff():
    corruption, rate = Bandwidth.Config().build(), 44100
    recording = Recording.of(plane_of_noise(6000, rate), rate)
    found = corruption.inspect(recording, corruption.observed(ceiling_hz=9000.0))
    assert found.cutoff_hz == pytest.approx(6000, rel=0.03) and found.ceiling_hz == 9000
    assert "up to 9000 Hz" in corruption.describe(found)
    assert corruption.marks(found).frequencies_hz == (found.cutoff_hz, 9000)
    with pytest.raises(TaskError, match="raise the ceiling"):
        corruption.inspect(recording, corruption.observed(ceiling_hz=3000.0))


def test_a_drawn_ceiling_is_known_and_silent():
    corruption = Bandwidth.Config(low_hz=100, high_hz=400, ceilings=1).build()
    one = item(factorized(), white(1600))
    drawn = [corruption.draw(1.0, generator(seed)) for seed in range(50)]
    assert all(p.cutoff_hz < p.ceiling_hz <= 600 for p in drawn)
    parameters = corruption.Parameters(cutoff_hz=200, ceiling_hz=500)
    found = corruption.degrade(one, parameters, NOISE)
    above = one.grid.freqs_hz >= 500
    assert not bool(found.missing[:, :, above].any()) and not bool(found.x1[:, 0, above].any())
    seen = corruption.observe(one, parameters, NOISE)
    assert torch.equal(seen.x1[:, :, above], one.z[:, :, above])


def plane_of_noise(cutoff_hz, rate):
    spectrum = torch.fft.rfft(0.1 * torch.randn(1, 3 * rate, generator=generator(0)))
    spectrum[:, 3 * cutoff_hz :] = 0
    return torch.fft.irfft(spectrum, 3 * rate)


def test_the_result_has_room_for_what_is_restored():
    bandwidth, inpainting = Bandwidth.Config().build(), Inpainting.Config().build()
    assert bandwidth.output_rate(cutoff(4000), 16_000, RATE) == RATE
    assert bandwidth.output_rate(cutoff(4000), 96_000, RATE) == 96_000
    assert inpainting.output_rate(gaps((0, 1)), 16_000, RATE) == 16_000


def test_damage_is_described_and_marked():
    bandwidth, inpainting = Bandwidth.Config().build(), Inpainting.Config().build()
    assert "4000 Hz" in bandwidth.describe(cutoff(4000))
    assert bandwidth.marks(cutoff(4000)).frequencies_hz == (4000.0,)
    assert bandwidth.stretches(cutoff(4000)) is None
    assert "2 gaps, 0.3 s" in inpainting.describe(gaps((0.1, 0.2), (0.5, 0.7)))
    assert "1 gap," in inpainting.describe(gaps((0.1, 0.2)))
    assert inpainting.marks(gaps((0.1, 0.2))).stretches_s == ((0.1, 0.2),)


class Hidden(MaskCorruption):
    task = "hidden"

    class Config(MaskCorruption.Config):
        name: str = "hidden"

    class Parameters(FrozenConfig):
        low_hz: float
        depth_db: float = 6.0

    def missing(self, grid, parameters):
        return (grid.freqs_hz >= parameters.low_hz)[:, None].expand(grid.shape)


def test_parameters_are_drawn_within_their_ranges():
    class Ranged(Hidden):
        ranges: ClassVar = {"low_hz": (200.0, 300.0)}

    generator = torch.Generator().manual_seed(0)
    drawn = [Ranged(Hidden.Config()).draw(1.0, generator) for _ in range(400)]
    low = torch.tensor([one.low_hz for one in drawn])
    assert 200 <= low.min() < 203 and 297 < low.max() <= 300
    assert float(low.mean()) == pytest.approx(250, abs=5)
    assert {one.depth_db for one in drawn} == {6.0}


def test_a_parameter_without_a_range_is_told():
    with pytest.raises(ConfigError, match="low_hz"):
        Hidden.Config().build().draw(1.0, torch.Generator())


def test_tones_of_earlier_models_are_accepted_with_a_warning():
    with pytest.warns(FutureWarning, match="similar_passage"):
        config = Inpainting.Config.model_validate({"tones": True, "low_s": 0.2})
    assert config == Inpainting.Config(low_s=0.2)
    assert Inpainting.Config.model_validate({"tones": False}) == Inpainting.Config()
