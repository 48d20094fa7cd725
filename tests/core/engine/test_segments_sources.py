"""Where segments come from: several sources, compressed files, and files that are not as said."""

import logging

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, limited, noise, write_audio, write_samples

from a2sb_core.config.run import DataConfig
from a2sb_core.engine.loading import Share, Tally, load_batches
from a2sb_core.engine.segments import Segment, Segments
from a2sb_core.engine.sources import Source, group_weights, load_sources
from a2sb_core.errors import TrainingError


def segments(found, **fields):
    defaults = {"length": 960, "sample_rate": RATE, "count": 60, "seed": 1}
    return Segments(found, **(defaults | fields))


def manifest(path, *rows, columns="split,file_path,duration"):
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def test_several_sources_share_the_segments_by_weight(tmp_path):
    for name, level in (("a", 0.1), ("b", 0.2), ("c", 0.4)):
        for k in range(3):
            write_samples(tmp_path / name / f"{k}.wav", level * np.ones(2000 * (k + 1)))
    listed = manifest(tmp_path / "c.csv", "train,c/0.wav,0.04", "validation,c/1.wav,0.09")
    config = DataConfig.model_validate({"validation_files": 1, "sources": [
        {"path": tmp_path / "a", "weight": 1}, {"path": tmp_path / "b", "weight": 3},
        {"path": listed, "weight": 4},
    ]})
    found = load_sources(config, "train")
    assert len(found) == 2 + 2 + 1
    data = segments(found, count=300, length=10, group_weights=group_weights(config))
    levels = np.array([round(float(data[i].wave[0]), 3) for i in range(300)])
    shares = [(levels == level).mean() for level in (0.1, 0.2, 0.4)]
    assert shares == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.09)
    held_out = {source.path for source in load_sources(config, "validation")}
    assert held_out == {tmp_path / name for name in ("a/2.wav", "b/2.wav", "c/1.wav")}


@pytest.mark.parametrize(("fields", "message"), [
    ({}, "either `source` or `sources`"),
    ({"source": "a", "sources": [{"path": "b"}]}, "either `source` or `sources`"),
    ({"sources": [{"path": "a"}], "group_weights": {"x": 1}}, "group_weights goes with `source`"),
    ({"sources": [{"path": "a"}, {"path": "a", "weight": 2}]}, "twice"),
    ({"sources": [{"path": "a", "weight": 0}]}, "greater than 0"),
])
def test_sources_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate(fields)


def test_each_of_several_sources_must_hold_audio(tmp_path):
    write_audio(tmp_path / "a")
    empty = manifest(tmp_path / "b.csv", "validation,a/file0.wav,0.3")
    parts = [{"path": tmp_path / "a"}, {"path": empty}]
    with pytest.raises(TrainingError, match=r"b\.csv lists no audio for the split `train`"):
        load_sources(DataConfig.model_validate({"sources": parts}), "train")


def test_a_misspelt_split_is_an_error(tmp_path):
    path = manifest(tmp_path / "m.csv", "train,a.wav,1", "test,b.wav,1", "Train,c.wav,1")
    message = r"m\.csv, line 4: unknown split `Train`; known: train, validation, test"
    with pytest.raises(TrainingError, match=message):
        load_sources(DataConfig(source=path), "validation")


@pytest.mark.parametrize(("row", "message"), [
    ("train,,1,", "line 2: there is no file_path"),
    ("train,a.wav,1,0", "line 2: the sample rate must be positive"),
    ("train,a.wav,1,-44100", "line 2: the sample rate must be positive"),
    ("train,a.wav,1,nan", "line 2: the sample rate must be positive"),
])
def test_a_row_that_says_nothing_is_an_error(tmp_path, row, message):
    path = manifest(tmp_path / "m.csv", row, columns="split,file_path,duration,sample_rate")
    with pytest.raises(TrainingError, match=message):
        load_sources(DataConfig(source=path), "train")


def test_a_manifest_that_is_no_text_is_an_error(tmp_path):
    path = write_samples(tmp_path / "m.wav", noise(500)[0])
    with pytest.raises(TrainingError, match=r"m\.wav (is not|can not be read as) a manifest"):
        load_sources(DataConfig(source=path), "train")


def test_files_without_samples_are_skipped_and_told(tmp_path, caplog):
    write_samples(tmp_path / "audio" / "empty.wav", [])
    with pytest.raises(TrainingError, match="audio lists no audio for the split `train`"):
        load_sources(DataConfig(source=tmp_path / "audio", validation_files=0), "train")
    write_audio(tmp_path / "audio", count=2)
    config = DataConfig(source=tmp_path / "audio", validation_files=0)
    assert len(load_sources(config, "train")) == 2
    assert "empty.wav: it holds no samples" in caplog.text
    assert "skipped 1 of 3 files" in caplog.text


def test_a_file_shorter_than_its_manifest_says_is_skipped_and_counted(tmp_path, caplog):
    paths = write_audio(tmp_path, count=2)
    found = [Source(paths[0], 0.3, 22_050.0), Source(paths[1], 100.0, 22_050.0)]
    data = segments(found)
    with caplog.at_level(logging.WARNING):
        drawn = [segment for segment in map(try_item(data), range(20)) if segment]
    assert drawn
    assert all(str(paths[0]) in segment.origin for segment in drawn)
    assert data.unreadable == {paths[1]: "the manifest says 100 s, and the file holds 0.3 s"}


def try_item(data):
    def item(index):
        try:
            return data[index]
        except TrainingError:
            return None
    return item


def test_rounded_durations_are_no_mistake(tmp_path):
    path, = write_audio(tmp_path, count=1)
    data = segments([Source(path, 1.0, 22_050.0)])
    assert data[0].origin.startswith(str(path))
    assert not data.unreadable


def test_padding_and_silence_are_counted(tmp_path):
    short = write_samples(tmp_path / "short.wav", noise(500)[0])
    silent = write_samples(tmp_path / "silent.wav", np.zeros(13_230))
    data = segments([Source(short, 0.011, 22_050.0), Source(silent, 0.011, 22_050.0)])
    drawn = [data[i] for i in range(30)]
    assert all(segment.padded for segment in drawn)
    assert 5 < sum(segment.quiet for segment in drawn) < 80
    whole = segments([Source(write_audio(tmp_path, count=1)[0], 0.3, 22_050.0)])[3]
    assert (whole.padded, whole.quiet, whole.number) == (False, 0, 3)
    assert segments([Source(silent, 0.3, 22_050.0)])[0].quiet == 20


class Reads(soundfile.SoundFile):
    """Counts what is decoded."""

    frames_read = 0

    def read(self, frames=-1, **options):
        data = super().read(frames, **options)
        Reads.frames_read += len(data)
        return data


PREROLL = 8 * 1152


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".opus"])
def test_a_segment_is_read_without_the_rest_of_its_file(tmp_path, monkeypatch, suffix):
    path, rate = tmp_path / f"long{suffix}", 48000 if suffix == ".opus" else RATE
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(path, limited(8 * rate, 6000, rate)[0].numpy(), rate, **kind)
    whole = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    monkeypatch.setattr(soundfile, "SoundFile", Reads)
    Reads.frames_read = 0
    data = segments([Source(path, 8.0, 22_050.0)], length=4096, sample_rate=rate)
    drawn = [data[i] for i in range(6)]
    preroll = PREROLL if suffix == ".mp3" else 0
    assert Reads.frames_read <= 6 * (4096 + preroll)
    assert not data.unreadable
    for segment in drawn:
        assert distance(segment, whole, rate) < 1e-6


def test_an_mp3_of_few_bits_is_whole_right_after_a_seek(tmp_path):
    path = tmp_path / "dull.mp3"
    drift = np.cumsum(noise(8 * RATE)[0].numpy()) / 50
    soundfile.write(path, 0.8 * np.tanh(drift).astype(np.float32), RATE)
    whole = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    data = segments([Source(path, 8.0, 22_050.0)], length=4096)
    assert max(distance(data[i], whole, RATE) for i in range(12)) < 1e-6


def distance(segment, whole, rate):
    """Largest difference to the stretch of the file that the segment says it is."""
    near = round(float(segment.origin.removesuffix(" s").split(" at ")[1]) * rate)
    start, length = max(0, near - rate // 100), len(segment.wave)
    around = whole[start : near + rate // 100 + length].unfold(0, length, 1)
    return float((around - segment.wave).abs().amax(dim=1).min())


def test_a_level_in_the_manifest_spares_reading_the_file(tmp_path, monkeypatch):
    path, = write_audio(tmp_path, count=1)
    wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    level = 20 * np.log10(float(wave.square().mean().sqrt()))
    columns = "split,file_path,duration,level_dbfs"
    listed = manifest(tmp_path / "m.csv", f"train,{path},0.3,{level}", columns=columns)
    found = load_sources(DataConfig(source=listed), "train")
    read = segments([Source(path, 0.3, float("inf"))], loudness_dbfs=-20.0)[2]
    monkeypatch.setattr(soundfile, "blocks", None)
    told = segments(found, loudness_dbfs=-20.0)[2]
    torch.testing.assert_close(told.wave, read.wave, rtol=1e-4, atol=1e-6)


def test_a_file_that_breaks_off_is_skipped(tmp_path):
    good, bad = write_audio(tmp_path, count=2)
    torn = tmp_path / "torn.flac"
    soundfile.write(torn, soundfile.read(bad)[0], RATE)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    data = segments([Source(good, 0.3, 22_050.0), Source(torn, 0.3, 22_050.0)], length=12_000)
    assert all(str(good) in data[i].origin for i in range(20))
    assert set(data.unreadable) == {torn}


@pytest.mark.parametrize("workers", [0, 1])
def test_that_nothing_can_be_read_is_told_in_one_line(tmp_path, workers):
    data = segments([Source(tmp_path / "absent.wav", 1.0, 22_050.0)])
    with pytest.raises(TrainingError) as caught:
        list(load_batches(data, Share(0, 2, 2), workers))
    assert str(caught.value).startswith("no readable audio in 20 draws; first problem: ")
    assert "absent.wav" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_processes_divide_a_step_among_them():
    whole = list(Share(2, 5, 6))
    assert whole[0] == [12, 13, 14, 15, 16, 17]
    assert len(whole) == len(Share(2, 5, 6)) == 3
    parts = [list(Share(2, 5, 6, 3, rank)) for rank in range(3)]
    for step in range(3):
        assert sorted(n for part in parts for n in part[step]) == whole[step]
    assert list(Share(5, 5, 6)) == []


def test_the_wait_for_data_is_measured(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("a2sb_core.engine.loading.time.perf_counter", lambda: clock[0])
    item = Segment(torch.zeros(1), 1.0, "a", padded=True, quiet=2)

    def batches():
        for wait in (9.0, 1.0, 2.0):
            clock[0] += wait
            yield [item, item]

    tally = Tally()
    for _ in tally.watch(batches()):
        clock[0] += 3.0  # a step
    # The first batch is not waited for: 3 steps of 3 s, and 1 s and 2 s between them.
    assert (tally.waited_s, tally.total_s) == (3.0, 12.0)
    assert tally.wait_share == 0.25
    assert tally.segments == 6
    assert tally.counts == {"padded": 6, "quiet": 12}
    assert Tally().wait_share == 0.0
