"""What the page does, without a browser."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.web import work
from a2sb_core.web.work import Asked, CancelledError, Limits, Session

RATE = 44100
LIMITS = Limits(minutes=1.0, files=4)


@pytest.fixture
def session(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return Session.new(root)


def silent(done, of):
    pass


def test_it_finds_what_analyze_finds(session, torn):
    found, view = work.look(session, torn, LIMITS)
    (gap,) = found["gaps"]
    assert gap["detector"] == "silence" and gap["start_s"] == pytest.approx(1, abs=1e-3)
    assert view["gaps_s"] == [[gap["start_s"], gap["end_s"]]] and view["duration_s"] == 3.0
    (before,) = view["versions"]
    assert Path(before["image"]).read_bytes().startswith(b"\x89PNG")
    heard, rate = soundfile.read(before["audio"])
    assert rate == RATE and heard.shape == (3 * RATE, 2)
    assert np.abs(heard - soundfile.read(torn)[0]).max() < 2**-14
    assert [tick["label"] for tick in view["ticks"]][-2:] == ["8", "16"]
    assert 0 < view["ticks"][0]["at"] < view["ticks"][-1]["at"] < 1


@pytest.mark.parametrize(("task", "options", "arguments"), [
    ("inpaint", {}, []),
    ("inpaint", {"gaps": "0.5:0.6, 1:1.5"}, ["--gap", "0.5:0.6", "--gap", "1:1.5"]),
    ("bandwidth", {"cutoff": "9000", "suffix": ".flac", "seed": 3},
     ["--cutoff", "9000", "--seed", "3"]),
])
def test_the_result_is_that_of_the_command(
    session, torn, tiny, tmp_path, task, options, arguments
):
    from a2sb_core.cli import app

    asked = Asked(task, model=str(tiny), device="cpu", **options)
    steps = []
    done = work.restore(session, torn, asked, LIMITS, lambda *step: steps.append(step))
    suffix = options.get("suffix", ".wav")
    assert done.target.name == f"torn tape ☂.restored{suffix}"
    assert [one["name"] for one in done.view["versions"]] == ["before", "after"]
    assert steps and "Done in" in done.told
    out = tmp_path / f"out{suffix}"
    result = CliRunner().invoke(app, [
        "restore", str(torn), "-o", str(out), "--task", task, "--model", str(tiny), "--device",
        "cpu", *arguments,
    ])
    assert result.exit_code == 0, result.output
    assert soundfile.info(out).subtype == soundfile.info(done.target).subtype == "PCM_24"
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(done.target)[0])


def test_a_cancelled_restoration_leaves_nothing(session, torn, tiny):
    def cancel(done, of):
        session.stop.set()

    asked = Asked("bandwidth", model=str(tiny), device="cpu", cutoff="9000")
    with pytest.raises(CancelledError, match="nothing was written"):
        work.restore(session, torn, asked, LIMITS, cancel)
    assert os.listdir(session.folder) == []
    assert work.restore(session, torn, asked, LIMITS, silent).target.is_file()  # and it goes on
    session.close()
    assert not session.folder.exists()


def test_many_files_are_done_in_turn_and_packed(session, torn, tiny, long, tmp_path):
    import zipfile

    (tmp_path / "text.wav").write_text("no audio")
    paths = [torn, tmp_path / "text.wav", long]
    asked = Asked("inpaint", model=str(tiny), device="cpu")
    outcomes = list(work.restore_many(session, paths, asked, LIMITS, silent))
    assert [one.status for one in outcomes] == ["restored", "failed", "failed"]
    assert "text.wav" in outcomes[1].error and "2 minutes long" in outcomes[2].error
    with zipfile.ZipFile(work.pack(session, outcomes)) as archive:
        assert archive.namelist() == ["torn tape ☂.restored.wav"]
    assert work.pack(session, outcomes[1:]) is None
    with pytest.raises(AudioError, match="5 files are more than this page takes: 4"):
        next(work.restore_many(session, [torn] * 5, asked, LIMITS, silent))


@pytest.mark.parametrize(("asked", "message"), [
    (Asked("inpaint", gaps="1-2"), "`1-2` is not START:END"),
    (Asked("bandwidth", cutoff="high"), "the cutoff is a number above 0, or empty; got `high`"),
    (Asked("bandwidth", cutoff="-3"), "the cutoff is a number above 0"),
])
def test_what_can_not_be_read_is_told(asked, message):
    with pytest.raises(TaskError, match=message):
        asked.options()


def test_what_is_too_long_or_no_audio_is_refused(session, long, tmp_path):
    with pytest.raises(AudioError, match=r"long\.flac is 2 minutes long, and this page takes 1"):
        work.look(session, long, LIMITS)
    (tmp_path / "notes.txt").write_text("la la")
    with pytest.raises(A2SBError, match=r"notes\.txt"):
        work.look(session, tmp_path / "notes.txt", LIMITS)


@pytest.mark.parametrize("task", ["bandwidth", "inpaint"])
def test_examples_are_damaged_for_their_task(session, task):
    found, view = work.look(session, work.example(session, task), LIMITS)
    assert bool(found["gaps"]) == (task == "inpaint")
    assert (view["cutoff"] is not None) >= (task == "bandwidth")


def test_the_page_without_gradio_says_what_to_install(monkeypatch):
    from a2sb_core.cli import app

    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    result = CliRunner().invoke(app, ["web", "--no-open", "--device", "cpu"])
    assert result.exit_code == 1 and "pip install 'a2sb[web]'" in result.output
    assert json.dumps(result.output).count("Traceback") == 0
