"""What differs on Windows, as far as it can be shown elsewhere: names, open files, encodings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from engine_helpers import noise, write_samples

from a2sb_core.audio import file_names as names
from a2sb_core.batch.pairing import plan
from a2sb_core.errors import A2SBError, AudioError, ModelError, PluginError
from a2sb_core.models.locating import local_folder
from a2sb_core.restoration import output
from a2sb_core.restoration.partial_file import PartialFile, partial_path
from a2sb_core.training.run_folder import write_checkpoint

ROOT = Path(__file__).parents[3]


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(names, "WINDOWS", True)
    monkeypatch.setattr(names, "takes_long_paths", lambda: True)


@pytest.fixture
def music(tmp_path):
    def make(*stems):
        (tmp_path / "music").mkdir(exist_ok=True)
        for stem in stems:
            (tmp_path / "music" / f"{stem}.wav").touch()
        return tmp_path / "music"

    return make


@pytest.mark.parametrize(
    "template",
    [
        "{stem}?{ext}",
        "C:{stem}{ext}",
        "nul{ext}",
        "{stem}{ext}.",
        "{stem}{ext}:more",
        '"{stem}"{ext}',
        "{stem}\\new{ext}",
        "com1.{stem}{ext}",
    ],
)
def test_templates_that_make_no_name_of_windows_are_refused(template, music, tmp_path, windows):
    with pytest.raises(AudioError, match="choose another --filename"):
        plan([music("song")], tmp_path / "out", template)


@pytest.mark.parametrize("stem", ["aux", "NUL", "con.live", "lpt1"])
def test_inputs_named_as_devices_are_refused_unless_renamed(stem, music, tmp_path, windows):
    folder = music(stem, "song")
    with pytest.raises(AudioError, match=rf"{stem}\.wav would be written as .*device"):
        plan([folder], tmp_path / "out")
    pairs = plan([folder], tmp_path / "out", "new {stem}{ext}")
    assert f"new {stem}.wav" in {pair.target.name for pair in pairs}


def test_elsewhere_such_names_are_names(music, tmp_path):
    folder = music("aux", "what?", "a:b", "back\\slash")
    assert len(plan([folder], tmp_path / "out")) == 4


@pytest.mark.parametrize(("one", "other"), [("É", "é"), ("e\u0301", "é"), ("SONG", "song")])
def test_outputs_that_are_one_file_on_some_systems_are_refused(one, other, music, tmp_path):
    folder, more = music(one), tmp_path / "more"
    more.mkdir()
    (more / f"{other}.wav").touch()
    with pytest.raises(AudioError, match="would both be written"):
        plan([folder, more], tmp_path / "out")


def test_names_that_differ_everywhere_are_two_files(music, tmp_path):
    assert len(plan([music("straße", "strasse")], tmp_path / "out")) == 2


def test_an_output_that_is_an_input_but_for_its_case_is_refused(music):
    folder = music("a", "b")
    with pytest.raises(AudioError, match="is an input itself"):
        plan([folder / "*.wav"], folder, "{stem}.WAV")


def test_a_name_that_is_too_long_for_the_output_is_refused(music, tmp_path):
    with pytest.raises(AudioError, match=r"260 bytes, and at most 255"):
        plan([music("x" * 247)], tmp_path / "out")


@pytest.mark.parametrize("stem", ["a", "音" * 83, "x" * 251])
def test_the_finished_part_of_a_long_name_has_a_name_too(stem, tmp_path):
    target = tmp_path / f"{stem}.wav"
    target.touch()  # a name that this system takes
    part = PartialFile(target, 1, {}, resume=False)
    with part:
        part.write(noise(10))
    assert part.path == partial_path(target) and part.path.stat().st_size
    assert partial_path(target) != partial_path(target.with_name(f"{stem[:-1]}y.wav"))


def refuse(source, target):
    """Windows does not replace a file that a program has open."""
    raise PermissionError(13, "Access is denied", str(source), None, str(target))


@pytest.mark.parametrize("cutoff_hz", [5000.0, None])
def test_an_output_that_a_player_has_open(restorer, tmp_path, monkeypatch, cutoff_hz):
    """Written or copied: what was there stays, no scrap is left, and the message helps."""
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_samples(source, noise(8000, 2).numpy().T)
    target.write_bytes(b"what is played")
    monkeypatch.setattr(os, "replace", refuse)
    asked = {"cutoff_hz": cutoff_hz} if cutoff_hz else {}
    with pytest.raises(A2SBError, match=r"out\.wav cannot be replaced.*close the program"):
        restorer.restore_file(source, target, task="bandwidth", overwrite=True, **asked)
    assert target.read_bytes() == b"what is played"
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav"]


def test_a_long_recording_is_not_lost_where_its_output_is_open(restorer, tmp_path, monkeypatch):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_samples(source, noise(8000).numpy().T)
    target.write_bytes(b"what is played")
    monkeypatch.setattr(output, "RESUMABLE_FROM_S", 0.1)
    asked = {"task": "bandwidth", "cutoff_hz": 5000.0, "overwrite": True}
    with monkeypatch.context() as while_open:
        while_open.setattr(os, "replace", refuse)
        with pytest.raises(A2SBError, match="close the program"):
            restorer.restore_file(source, target, **asked)
    assert partial_path(target).exists()
    restorer.restore_file(source, target, resume=True, **asked)
    assert soundfile.info(target).frames == 8000 and not partial_path(target).exists()


def test_a_checkpoint_takes_the_place_of_one_of_the_same_step(tmp_path, monkeypatch):
    """On Windows `rename` does not."""

    def rename(path, target):
        raise FileExistsError(17, "Cannot create a file when that file already exists")

    monkeypatch.setattr(Path, "rename", rename)
    for content in (1, 2):
        path = write_checkpoint({"content": content}, tmp_path, 5, keep=2)
    assert torch.load(path)["content"] == 2 and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["nul", "my:model", "model."])
def test_a_model_folder_of_such_a_name_is_refused(name, restorer, tmp_path, windows):
    with pytest.raises(ModelError, match="choose another one"):
        restorer.save_pretrained(tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["C:/models/gone", "C:\\models\\gone"])
def test_a_drive_is_no_distribution(name):
    """`dist:name` is a plugin's model, `C:/models/x` a folder that is not there."""
    with pytest.raises(PluginError, match="unknown model"):
        local_folder("dist:name")
    with pytest.raises(ModelError, match="neither a folder nor a registered model"):
        local_folder(name)


def test_names_that_the_console_can_not_show_are_told_escaped():
    """Windows writes to files and pipes in a code page of its own."""
    code = "import sys; sys.argv[0] = 'a2sb'; from a2sb_core.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "download", "音🎵"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"},
    )
    assert result.returncode == 1
    assert result.stderr.startswith(rb"error: there is no model `\u97f3\U0001f3b5`")
