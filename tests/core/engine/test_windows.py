"""What differs on Windows, as far as it can be shown elsewhere: names, open files, encodings."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from engine_helpers import RATE, noise, write_samples

from a2sb_core.audio import names
from a2sb_core.engine import filing, finding
from a2sb_core.engine.batch import plan
from a2sb_core.engine.part import Part, part_path
from a2sb_core.engine.runs import write_checkpoint
from a2sb_core.errors import AudioError, ModelError, PluginError

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


@pytest.mark.parametrize("template", [
    "{stem}?{ext}", "C:{stem}{ext}", "nul{ext}", "{stem}{ext}.", "{stem}{ext}:more",
    '"{stem}"{ext}', "{stem}\\new{ext}", "com1.{stem}{ext}",
])
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
    with pytest.raises(AudioError, match=r"260 bytes long, and at most 255"):
        plan([music("x" * 247)], tmp_path / "out")


@pytest.mark.parametrize("stem", ["a", "音" * 83, "x" * 251])
def test_the_finished_part_of_a_long_name_has_a_name_too(stem, tmp_path):
    target = tmp_path / f"{stem}.wav"
    target.touch()  # a name that this system takes
    part = Part(target, 1, {}, resume=False)
    with part:
        part.write(noise(10))
    assert part.path == part_path(target) and part.path.stat().st_size
    assert part_path(target) != part_path(target.with_name(f"{stem[:-1]}y.wav"))


def test_a_copy_of_a_long_name_can_be_made(tmp_path):
    source, target = tmp_path / "a.wav", tmp_path / ("x" * 251 + ".wav")
    soundfile.write(source, noise(100)[0].numpy(), RATE)
    filing._copy(source, target)
    assert target.read_bytes() == source.read_bytes() and len(os.listdir(tmp_path)) == 2


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
    with pytest.raises(AudioError, match=r"out\.wav can not be replaced.*close what has it open"):
        restorer.restore_file(source, target, task="bandwidth", overwrite=True, **asked)
    assert target.read_bytes() == b"what is played"
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav"]


def test_a_long_recording_is_not_lost_where_its_output_is_open(restorer, tmp_path, monkeypatch):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_samples(source, noise(8000).numpy().T)
    target.write_bytes(b"what is played")
    monkeypatch.setattr(filing, "PART_FROM_S", 0.1)
    asked = {"task": "bandwidth", "cutoff_hz": 5000.0, "overwrite": True}
    with monkeypatch.context() as while_open:
        while_open.setattr(os, "replace", refuse)
        with pytest.raises(AudioError, match="close what has it open"):
            restorer.restore_file(source, target, **asked)
    assert part_path(target).exists()
    restorer.restore_file(source, target, resume=True, **asked)
    assert soundfile.info(target).frames == 8000 and not part_path(target).exists()


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


def test_a_copy_that_fails_is_told(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filing.shutil, "copyfile", fail)
    with pytest.raises(AudioError, match=r"out\.wav can not be written: No space left"):
        filing._copy(tmp_path / "in.wav", tmp_path / "out.wav")
    assert not os.listdir(tmp_path)


def test_a_drive_is_no_distribution(monkeypatch):
    """`dist:name` is a plugin's model, `C:/models/x` a folder that is not there."""
    with pytest.raises(PluginError, match="unknown model"):
        finding.local_folder("dist:name")

    class Drive(type(Path())):
        drive = property(lambda self: str(self)[:2] if str(self)[1:2] == ":" else "")

    monkeypatch.setattr(finding, "Path", Drive)
    for name in ("C:/models/gone", "C:\\models\\gone"):
        with pytest.raises(ModelError, match="neither a folder nor a registered model"):
            finding.local_folder(name)


NO_TEXT = ("distribution.read_text", "soundfile.open", "av.open", "Source.open", "os.open",
           "self._open")
"""What has such a name, and opens no text file."""


def calls_without_encoding(tree):
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name not in ("open", "read_text", "write_text", "NamedTemporaryFile"):
            continue
        given = [ast.unparse(part) for part in (*call.args, *(w.value for w in call.keywords))]
        is_binary = any(re.fullmatch("'[rwax+]*b[rwax+]*'", text) for text in given)
        told = any("utf" in text for text in given)
        if not (told or is_binary or ast.unparse(call.func) in NO_TEXT):
            yield call.lineno, ast.unparse(call)


@pytest.mark.parametrize("folder", ["a2sb_core", "a2sb_tasks", "a2sb_backbones", "examples",
                                    "benchmarks"])
def test_text_files_are_in_utf8_whatever_the_system_prefers(folder):
    found = [f"{path.relative_to(ROOT)}:{line}: {text}"
             for path in sorted((ROOT / folder).rglob("*.py"))
             for line, text in calls_without_encoding(ast.parse(path.read_text(encoding="utf8")))]
    assert not found, "\n".join(found)


def test_a_text_file_without_an_encoding_is_found():
    for text in ("open('x')", "path.read_text()", "path.open('w')", "path.write_text(text)"):
        assert list(calls_without_encoding(ast.parse(text))), text
    for text in ("open('x', 'rb')", "p.open('wb')", "p.read_text('utf-8')", "soundfile.open(x)"):
        assert not list(calls_without_encoding(ast.parse(text))), text


def test_names_that_the_console_can_not_show_are_told_escaped():
    """Windows writes to files and pipes in a code page of its own."""
    code = "import sys; sys.argv[0] = 'a2sb'; from a2sb_core.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "download", "音🎵"], capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"},
    )
    assert result.returncode == 1
    assert result.stderr.startswith(rb"error: there is no model `\u97f3\U0001f3b5`")
