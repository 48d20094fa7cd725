"""Sources of training audio: manifests and folders, one or several."""

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, write_audio, write_samples

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.training import DataConfig
from a2sb_core.errors import AudioError, ConfigError, TrainingError
from a2sb_core.evaluation.clips import list_clips
from a2sb_core.training.data.segments import Segments
from a2sb_core.training.data.sources import TrainingFile, group_weights, list_files


def segments(files, **fields):
    return Segments(
        files, **({"length": 960, "sample_rate": RATE, "count": 60, "seed": 1} | fields)
    )


def manifest(folder, *lines):
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return DataConfig(source=path)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_held_out_files_are_those_that_training_sets_aside(tmp_path, count):
    for name in ("b", "a", "a-b", "a/c", "Z"):
        write_audio(tmp_path / "audio" / name, count=1)
    data = DataConfig(source=tmp_path / "audio", validation_files=count)
    config = EvaluateConfig(source=data.source, output=tmp_path / "out", held_out=count)
    clips = {clip.path for clip in list_clips(config)}
    assert clips == {file.path for file in list_files(data, "validation")}
    assert not clips & {file.path for file in list_files(data, "train")}


def test_a_single_file_is_not_held_out(tmp_path):
    write_audio(tmp_path / "audio", count=1)
    config = EvaluateConfig(source=tmp_path / "audio", output=tmp_path / "out", held_out=1)
    with pytest.raises(AudioError, match="single file"):
        list_clips(config)
    (tmp_path / "list.csv").write_text("file_path\na.wav\n")
    with pytest.raises(ConfigError, match="of a folder"):
        list_clips(config.model_copy(update={"source": tmp_path / "list.csv"}))


def test_a_manifest_lists_the_files_of_a_split(tmp_path):
    config = manifest(
        tmp_path,
        "split,file_path,duration,sample_rate,group",
        "train,a.wav,1.5,32000,piano",
        "validation,b.wav,2,,",
        "train,/c.wav,3,44100,",
    )
    assert list_files(config, "train") == [
        TrainingFile(tmp_path / "a.wav", 1.5, 16_000.0, "piano"),
        TrainingFile(tmp_path.__class__("/c.wav"), 3.0, 22_050.0, ""),
    ]
    assert list_files(config, "validation") == [TrainingFile(tmp_path / "b.wav", 2.0, float("inf"))]


HEADER = "split,file_path,duration,sample_rate"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["split,path,duration", "train,a.wav,1"], "split,file_path,duration"),
        ([HEADER], "is not a manifest"),
        (["\x00\xff\x00"], "manifest"),
        ([HEADER, "validation,a.wav,1,"], "lists no audio for the split `train`"),
        ([HEADER, "train,a.wav,1,", "train,b.wav,long,"], "line 3: .*long"),
        ([HEADER, "train,a.wav,1,", "", "", "train,b.wav,long,"], "line 5: .*long"),
        ([HEADER, "train"], "line 2: "),
        ([HEADER, "train,,1,"], "line 2: .*file_path"),
        ([HEADER, "train,a.wav,-1,"], "line 2: .*-1"),
        ([HEADER, "train,a.wav,nan,"], "line 2: .*nan"),
        ([HEADER, "train,a.wav,1,fast"], "line 2: .*fast"),
        ([HEADER, "train,a.wav,1,0"], "line 2: the sample rate"),
        ([HEADER, "train,a.wav,1,-44100"], "line 2: the sample rate"),
        ([HEADER, "train,a.wav,1,nan"], "line 2: the sample rate"),
        ([HEADER, "train,a.wav,1,", "Train,c.wav,1,"], "line 3: .*`Train`.* validation"),
    ],
)
def test_a_malformed_manifest_is_an_error_that_names_the_line(tmp_path, lines, message):
    with pytest.raises(TrainingError, match=rf"manifest\.csv.*{message}"):
        list_files(manifest(tmp_path, *lines), "train")


def test_a_level_in_the_manifest_spares_reading_the_file(tmp_path, monkeypatch):
    (path,) = write_audio(tmp_path, count=1)
    wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    level = 20 * np.log10(float(wave.square().mean().sqrt()))
    config = manifest(tmp_path, "split,file_path,duration,level_dbfs", f"train,{path},0.3,{level}")
    read = segments([TrainingFile(path, 0.3, float("inf"))], loudness_dbfs=-20.0)[2]
    monkeypatch.setattr(soundfile, "blocks", None)
    known = segments(list_files(config, "train"), loudness_dbfs=-20.0)[2]
    torch.testing.assert_close(known.wave, read.wave, rtol=1e-4, atol=1e-6)


def test_a_folder_sets_its_last_files_aside(tmp_path, caplog):
    paths = write_audio(tmp_path / "audio", count=3)
    (tmp_path / "audio" / "notes.txt").write_text("not audio")
    (tmp_path / "audio" / "a_broken.wav").write_text("no audio")
    write_samples(tmp_path / "audio" / "a_empty.wav", [])
    config = DataConfig(source=tmp_path / "audio", validation_files=1)
    train, validation = (list_files(config, split) for split in ("train", "validation"))
    assert [file.path for file in train] == paths[:2]
    assert [file.path for file in validation] == paths[2:]
    assert train[0].duration_s == pytest.approx(0.3)
    assert train[0].max_hz == 22_050
    assert "a_broken.wav" in caplog.text and "a_empty.wav" in caplog.text
    assert "skipped 2 of 4 files" in caplog.text


def test_no_audio_at_all_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="absent does not exist"):
        list_files(DataConfig(source=tmp_path / "absent"), "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="lists no audio for the split `train`"):
        list_files(DataConfig(source=tmp_path / "empty"), "train")


def test_several_sources_share_the_segments_by_weight(tmp_path):
    for name, level in (("a", 0.1), ("b", 0.2), ("c", 0.4)):
        for k in range(3):
            write_samples(tmp_path / name / f"{k}.wav", level * np.ones(2000 * (k + 1)))
    listed = manifest(
        tmp_path, "split,file_path,duration", "train,c/0.wav,0.04", "validation,c/1.wav,0.09"
    ).source
    config = DataConfig.model_validate(
        {
            "validation_files": 1,
            "sources": [
                {"path": tmp_path / "a", "weight": 1},
                {"path": tmp_path / "b", "weight": 3},
                {"path": listed, "weight": 4},
            ],
        }
    )
    found = list_files(config, "train")
    assert len(found) == 2 + 2 + 1
    data = segments(found, count=300, length=10, group_weights=group_weights(config))
    levels = np.array([round(float(data[i].wave[0]), 3) for i in range(300)])
    shares = [(levels == level).mean() for level in (0.1, 0.2, 0.4)]
    assert shares == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.09)
    held_out = {source.path for source in list_files(config, "validation")}
    assert held_out == {tmp_path / name for name in ("a/2.wav", "b/2.wav", "c/1.wav")}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either `source` or `sources`"),
        ({"source": "a", "sources": [{"path": "b"}]}, "either `source` or `sources`"),
        (
            {"sources": [{"path": "a"}], "group_weights": {"x": 1}},
            "group_weights goes with `source`",
        ),
        ({"sources": [{"path": "a"}, {"path": "a", "weight": 2}]}, "twice"),
        ({"sources": [{"path": "a", "weight": 0}]}, "greater than 0"),
    ],
)
def test_sources_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate(fields)


def test_each_of_several_sources_must_hold_audio(tmp_path):
    write_audio(tmp_path / "a")
    empty = manifest(tmp_path, "split,file_path,duration", "validation,a/file0.wav,0.3")
    parts = [{"path": tmp_path / "a"}, {"path": empty.source}]
    with pytest.raises(TrainingError, match=r"manifest\.csv lists no audio for the split `train`"):
        list_files(DataConfig.model_validate({"sources": parts}), "train")
