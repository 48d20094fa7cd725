"""Segments of training audio: how they are cut, changed and counted."""

import logging
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, limited, noise, write_audio, write_samples

from a2sb_core.config.training import AugmentConfig
from a2sb_core.errors import TrainingError
from a2sb_core.training.data.segments import MP3_PREROLL, Segments
from a2sb_core.training.data.sources import TrainingFile


def sources(paths, max_hz=22_050.0):
    return [TrainingFile(path, soundfile.info(path).duration, max_hz) for path in paths]


def segments(found, **fields):
    defaults = {"length": 960, "sample_rate": RATE, "count": 60, "seed": 1}
    return Segments(found, **(defaults | fields))


def test_a_segment_is_a_stretch_of_its_file(tmp_path):
    paths = write_audio(tmp_path)
    for i in range(4):
        segment = segments(sources(paths))[i]
        assert segment.wave.shape == (960,)
        assert segment.wave.dtype == torch.float32
        path, second = segment.origin.removesuffix(" s").split(" at ")
        wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
        start = (wave.unfold(0, 960, 1) - segment.wave).abs().sum(dim=1).argmin()
        assert torch.equal(wave[start : start + 960], segment.wave)
        assert float(second) == pytest.approx(int(start) / RATE, abs=0.006)
        assert segment.max_hz == 22_050


@pytest.mark.parametrize(
    "augment", [{}, {"semitones": 3, "mix": 0.5, "codec": 0.5, "codec_hz": (RATE / 4, RATE / 3)}]
)
def test_segments_depend_on_seed_and_index_alone(tmp_path, augment):
    fields = {"gain_db": 6.0, "augment": AugmentConfig(**augment)}
    found = sources(write_audio(tmp_path))
    forward, backward = segments(found, **fields), segments(found, **fields)
    there = [forward[i].wave for i in range(12)]
    back = [backward[i].wave for i in reversed(range(12))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(there, back, strict=True))
    assert not any(torch.equal(a, b) for a, b in pairwise(there))
    other = segments(found, **fields, seed=2)
    assert not any(torch.equal(a, other[i].wave) for i, a in enumerate(there))


def test_context_surrounds_the_same_segments(tmp_path):
    found = sources(write_audio(tmp_path))
    alone, within = segments(found), segments(found, context=500)
    for one, other in ((alone[i], within[i]) for i in range(12)):
        assert one.origin == other.origin and torch.equal(one.wave, other.trained)
        wave = torch.from_numpy(soundfile.read(one.origin.split(" at ")[0], dtype="float32")[0])
        placed = torch.nn.functional.pad(wave, (500, 1500)).unfold(0, 1960, 1)
        assert float((placed - other.wave).abs().sum(dim=1).min()) == 0


def test_context_of_transposed_segments_has_its_length(tmp_path):
    found, augment = sources(write_audio(tmp_path)), AugmentConfig(semitones=3)
    alone, within = (segments(found, context=n, augment=augment) for n in (0, 500))
    for one, other in ((alone[i], within[i]) for i in range(6)):
        assert one.origin == other.origin
        assert one.wave.shape == other.trained.shape and other.wave.shape == (1960,)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 + 1])
def test_any_integer_is_a_seed(tmp_path, seed):
    found = sources(write_audio(tmp_path, count=1))
    first = segments(found, seed=seed)[3]
    assert torch.equal(first.wave, segments(found, seed=seed)[3].wave)
    assert not torch.equal(first.wave, segments(found, seed=seed - 1)[3].wave)


def spoil(folder, where):
    """A file that holds a NaN at a share of its length."""
    samples = noise(13_230, seed=9)[0].numpy().copy()
    samples[int(where * len(samples))] = np.nan
    return write_samples(folder / "spoilt.wav", samples)


@pytest.mark.parametrize("where", [0.3, 0.5])
def test_bad_files_do_not_make_segments_depend_on_what_was_read_before(tmp_path, where):
    paths = [*write_audio(tmp_path), spoil(tmp_path, where)]
    found = sources(paths)
    one_after_another = segments(found)
    kept = [one_after_another[i] for i in range(25)]
    assert one_after_another.unreadable
    for i in reversed(range(25)):
        alone = segments(found)[i]
        assert alone.origin == kept[i].origin
        assert torch.equal(alone.wave, kept[i].wave)


def test_bad_files_are_named_counted_and_skipped(tmp_path, caplog):
    good = write_audio(tmp_path / "good", count=1)
    bad = [tmp_path / f"{name}.wav" for name in ("absent", "text", "long", "empty", "spoilt")]
    bad[1].write_text("no audio")
    write_samples(bad[2], noise(4000)[0])
    write_samples(bad[3], [])
    spoil(tmp_path, 0.5)
    torn = tmp_path / "torn.flac"
    soundfile.write(torn, noise(13_230)[0].numpy(), RATE)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    listed = [TrainingFile(path, 3.0 if path == bad[2] else 0.3, 22_050.0) for path in [*bad, torn]]
    data = segments([*sources(good * 20), *listed], length=13_000)
    with caplog.at_level(logging.WARNING):
        drawn = [data[i] for i in range(60)]
    assert all(str(good[0]) in segment.origin for segment in drawn)
    assert set(data.unreadable) == {*bad, torn}
    assert "NaN" in data.unreadable[bad[4]]
    assert "3 s" in data.unreadable[bad[2]]
    for path in data.unreadable:
        assert sum(str(path) in record.getMessage() for record in caplog.records) == 1
    assert "unreadable file 6, skipped" in caplog.text


def test_a_file_with_nan_anywhere_is_named_where_its_level_is_needed(tmp_path):
    good, bad = write_audio(tmp_path, count=1), spoil(tmp_path, 0.99)
    data = segments(sources([*good, bad]), loudness_dbfs=-20.0)
    drawn = [data[i] for i in range(30)]
    assert all(torch.isfinite(segment.wave).all() for segment in drawn)
    assert set(data.unreadable) == {bad}


def test_silence_is_drawn_again_and_kept_where_there_is_nothing_else(tmp_path):
    silent = write_samples(tmp_path / "silent.wav", np.zeros(13_230))
    good = write_audio(tmp_path, count=1)
    data = segments(sources([*good, silent]))
    assert all(str(good[0]) in data[i].origin for i in range(20))
    assert not segments(sources([silent]))[0].wave.any()


def test_short_files_are_filled_with_silence(tmp_path):
    path = write_samples(tmp_path / "short.wav", noise(500)[0])
    segment = segments(sources([path]))[0]
    assert torch.equal(segment.wave[:500], noise(500)[0])
    assert not segment.wave[500:].any()


@pytest.mark.parametrize(("rate", "known_hz"), [(22050, 1e9), (48000, 1e9), (48000, 9000.0)])
def test_other_rates_are_resampled_and_limit_the_bandwidth(tmp_path, rate, known_hz):
    time = np.arange(rate) / rate
    path = write_samples(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 2000 * time), rate)
    segment = segments([TrainingFile(path, 1.0, known_hz)], length=4410)[0]
    assert segment.wave.shape == (4410,)
    assert segment.max_hz == min(rate / 2, known_hz)
    assert torch.fft.rfft(segment.wave * torch.hann_window(4410)).abs().argmax() == 200


def test_a_channel_or_the_mean_is_taken(tmp_path):
    left, right = 0.5 * np.ones(2000), 0.1 * np.ones(2000)
    path = write_samples(tmp_path / "stereo.wav", np.stack([left, right], axis=1))
    found = {round(float(segments(sources([path]))[i].wave[0]), 3) for i in range(40)}
    assert found == {0.5, 0.1, 0.3}


def test_gain_is_drawn_within_its_range(tmp_path):
    path = write_samples(tmp_path / "level.wav", 0.1 * np.ones(2000))
    data = segments(sources([path]), gain_db=6.0)
    gains = [20 * np.log10(float(data[i].wave[0]) / 0.1) for i in range(60)]
    assert -6.001 <= min(gains) < -4
    assert 4 < max(gains) <= 6.001


def test_loudness_is_that_of_the_whole_file(tmp_path):
    wave = noise(13_230)[0]
    wave[:6000] *= 0.1
    path = write_samples(tmp_path / "level.wav", wave)
    gain = 10 ** (-20 / 20) / float(wave.square().mean().sqrt())
    segment = segments(sources([path]), loudness_dbfs=-20.0, length=13_230)[0]
    torch.testing.assert_close(segment.wave, gain * wave, rtol=1e-4, atol=1e-6)


def test_files_are_drawn_by_duration_and_groups_by_weight(tmp_path):
    sizes = (2000, 6000, 8000)
    paths = [
        write_samples(tmp_path / f"{k}.wav", level * np.ones(size))
        for k, (level, size) in enumerate(zip((0.1, 0.2, 0.3), sizes, strict=True))
    ]
    found = [
        TrainingFile(path, size / RATE, 22_050.0, group)
        for path, size, group in zip(paths, sizes, "aab", strict=True)
    ]

    def shares(**fields):
        data = segments(found, count=300, length=10, **fields)
        levels = np.array([round(float(data[i].wave[0]), 3) for i in range(300)])
        return [(levels == level).mean() for level in (0.1, 0.2, 0.3)]

    assert shares() == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.09)
    weighted = shares(group_weights={"a": 3, "b": 1})
    assert weighted == pytest.approx([3 / 16, 9 / 16, 1 / 4], abs=0.09)
    with pytest.raises(TrainingError, match="not in the manifest: c; it has: a, b"):
        shares(group_weights={"c": 1})


def test_rounded_durations_are_no_mistake(tmp_path):
    (path,) = write_audio(tmp_path, count=1)
    data = segments([TrainingFile(path, 1.0, 22_050.0)])
    assert data[0].origin.startswith(str(path))
    assert not data.unreadable


def test_padding_and_silence_are_counted(tmp_path):
    short = write_samples(tmp_path / "short.wav", noise(500)[0])
    silent = write_samples(tmp_path / "silent.wav", np.zeros(13_230))
    data = segments([TrainingFile(short, 0.011, 22_050.0), TrainingFile(silent, 0.011, 22_050.0)])
    drawn = [data[i] for i in range(30)]
    assert all(segment.padded for segment in drawn)
    assert 5 < sum(segment.quiet for segment in drawn) < 80
    whole = segments([TrainingFile(write_audio(tmp_path, count=1)[0], 0.3, 22_050.0)])[3]
    assert (whole.padded, whole.quiet, whole.number) == (False, 0, 3)
    assert segments([TrainingFile(silent, 0.3, 22_050.0)])[0].quiet == 20


class Reads(soundfile.SoundFile):
    """Counts what is decoded."""

    frames_read = 0

    def read(self, frames=-1, **options):
        data = super().read(frames, **options)
        Reads.frames_read += len(data)
        return data


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".opus"])
def test_a_segment_is_read_without_the_rest_of_its_file(tmp_path, monkeypatch, suffix):
    path, rate = tmp_path / f"long{suffix}", 48000 if suffix == ".opus" else RATE
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(path, limited(8 * rate, 6000, rate)[0].numpy(), rate, **kind)
    whole = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    monkeypatch.setattr(soundfile, "SoundFile", Reads)
    Reads.frames_read = 0
    data = segments([TrainingFile(path, 8.0, 22_050.0)], length=4096, sample_rate=rate)
    drawn = [data[i] for i in range(6)]
    preroll = MP3_PREROLL if suffix == ".mp3" else 0
    assert Reads.frames_read <= 6 * (4096 + preroll)
    assert not data.unreadable
    for segment in drawn:
        assert distance(segment, whole, rate) < 1e-6


def test_an_mp3_of_few_bits_is_whole_right_after_a_seek(tmp_path):
    path = tmp_path / "dull.mp3"
    drift = np.cumsum(noise(8 * RATE)[0].numpy()) / 50
    soundfile.write(path, 0.8 * np.tanh(drift).astype(np.float32), RATE)
    whole = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    data = segments([TrainingFile(path, 8.0, 22_050.0)], length=4096)
    assert max(distance(data[i], whole, RATE) for i in range(12)) < 1e-6


def distance(segment, whole, rate):
    """Largest difference to the stretch of the file that the segment says it is."""
    near = round(float(segment.origin.removesuffix(" s").split(" at ")[1]) * rate)
    start, length = max(0, near - rate // 100), len(segment.wave)
    around = whole[start : near + rate // 100 + length].unfold(0, length, 1)
    return float((around - segment.wave).abs().amax(dim=1).min())
