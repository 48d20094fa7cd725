import logging
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, noise, write_audio, write_samples

from a2sb_core.config.run import DataConfig
from a2sb_core.engine.segments import Segments
from a2sb_core.engine.sources import Source, load_sources
from a2sb_core.errors import TrainingError


def sources(paths, max_hz=22_050.0):
    return [Source(path, soundfile.info(path).duration, max_hz) for path in paths]


def segments(found, **fields):
    defaults = {"length": 960, "sample_rate": RATE, "count": 60, "seed": 1}
    return Segments(found, **(defaults | fields))


def manifest(folder, *lines):
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return DataConfig(source=path)


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


def test_segments_depend_on_seed_and_index_alone(tmp_path):
    found = sources(write_audio(tmp_path))
    forward, backward = segments(found, gain_db=6.0), segments(found, gain_db=6.0)
    there = [forward[i].wave for i in range(12)]
    back = [backward[i].wave for i in reversed(range(12))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(there, back, strict=True))
    assert not any(torch.equal(a, b) for a, b in pairwise(there))
    other = segments(found, gain_db=6.0, seed=2)
    assert not any(torch.equal(a, other[i].wave) for i, a in enumerate(there))


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
    good = write_audio(tmp_path, count=1)
    absent, text = tmp_path / "absent.wav", tmp_path / "text.wav"
    text.write_text("no audio")
    empty = write_samples(tmp_path / "empty.wav", [])
    spoilt = spoil(tmp_path, 0.5)
    bad = [absent, text, empty, spoilt]
    data = segments(
        [*sources(good), *(Source(path, 0.1, 22_050.0) for path in bad)], length=13_000
    )
    with caplog.at_level(logging.WARNING):
        drawn = [data[i] for i in range(30)]
    assert all(str(good[0]) in segment.origin for segment in drawn)
    assert set(data.unreadable) == set(bad)
    assert "NaN" in data.unreadable[spoilt]
    assert "no audio" in data.unreadable[empty]
    for path in bad:
        assert sum(str(path) in record.getMessage() for record in caplog.records) == 1
    assert "unreadable file 4, skipped" in caplog.text


def test_nothing_but_bad_files_is_an_error_that_names_one(tmp_path):
    data = segments([Source(tmp_path / "absent.wav", 1.0, 22_050.0)])
    with pytest.raises(TrainingError, match=r"no readable audio .*absent\.wav"):
        data[0]


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


@pytest.mark.parametrize("rate", [22050, 48000])
def test_other_rates_are_resampled_and_limit_the_bandwidth(tmp_path, rate):
    time = np.arange(rate) / rate
    path = write_samples(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 2000 * time), rate)
    segment = segments([Source(path, 1.0, float("inf"))], length=4410)[0]
    assert segment.wave.shape == (4410,)
    assert segment.max_hz == rate / 2
    assert torch.fft.rfft(segment.wave * torch.hann_window(4410)).abs().argmax() == 200


def test_a_known_bandwidth_below_half_the_rate_counts(tmp_path):
    path, = write_audio(tmp_path, count=1)
    assert segments(sources([path], max_hz=9000.0))[0].max_hz == 9000


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
        Source(path, size / RATE, 22_050.0, group)
        for path, size, group in zip(paths, sizes, "aab", strict=True)
    ]

    def shares(**fields):
        data = segments(found, count=300, length=10, **fields)
        levels = np.array([round(float(data[i].wave[0]), 3) for i in range(300)])
        return [(levels == level).mean() for level in (0.1, 0.2, 0.3)]

    assert shares() == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.09)
    weighted = shares(group_weights={"a": 3, "b": 1})
    assert weighted == pytest.approx([3 / 16, 9 / 16, 1 / 4], abs=0.09)
    with pytest.raises(TrainingError, match="has not: c; it has: a, b"):
        shares(group_weights={"c": 1})


def test_a_manifest_lists_the_files_of_a_split(tmp_path):
    config = manifest(
        tmp_path, "split,file_path,duration,sample_rate,group",
        "train,a.wav,1.5,32000,piano", "validation,b.wav,2,,", "train,/c.wav,3,44100,",
    )
    assert load_sources(config, "train") == [
        Source(tmp_path / "a.wav", 1.5, 16_000.0, "piano"),
        Source(tmp_path.__class__("/c.wav"), 3.0, 22_050.0, ""),
    ]
    assert load_sources(config, "validation") == [Source(tmp_path / "b.wav", 2.0, float("inf"))]


@pytest.mark.parametrize(("lines", "message"), [
    (["split,path,duration", "train,a.wav,1"], "must name the columns split,file_path,duration"),
    (["split,file_path,duration"], "must name the columns|lists no audio"),
    (["split,file_path,duration", "validation,a.wav,1"], "lists no audio for the split `train`"),
    (["split,file_path,duration", "train,a.wav,1", "train,b.wav,long"], "line 3: .*long"),
    (["split,file_path,duration", "train,a.wav,1", "", "", "train,b.wav,long"], "line 5: .*long"),
    (["split,file_path,duration", "train"], "line 2: "),
    (["split,file_path,duration,sample_rate", "train,a.wav,1,fast"], "line 2: .*fast"),
    (["split,file_path,duration", "train,a.wav,-1"], "line 2: .*-1"),
    (["split,file_path,duration", "train,a.wav,nan"], "line 2: .*nan"),
])
def test_a_manifest_that_is_wrong_is_told_with_its_line(tmp_path, lines, message):
    with pytest.raises(TrainingError, match=rf"manifest\.csv.*{message}"):
        load_sources(manifest(tmp_path, *lines), "train")


def test_a_folder_sets_its_last_files_aside(tmp_path):
    paths = write_audio(tmp_path / "audio", count=3)
    (tmp_path / "audio" / "notes.txt").write_text("not audio")
    broken = tmp_path / "audio" / "a_broken.wav"
    broken.write_text("no audio")
    config = DataConfig(source=tmp_path / "audio", validation_files=1)
    train, validation = (load_sources(config, split) for split in ("train", "validation"))
    assert [source.path for source in train] == paths[:2]
    assert [source.path for source in validation] == paths[2:]
    assert train[0].duration_s == pytest.approx(0.3)
    assert train[0].max_hz == 22_050


def test_no_audio_at_all_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="absent does not exist"):
        load_sources(DataConfig(source=tmp_path / "absent"), "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="lists no audio for the split `train`"):
        load_sources(DataConfig(source=tmp_path / "empty"), "train")
