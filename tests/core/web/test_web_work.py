"""What the page does, without a browser."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.web import work
from a2sb_core.web.session import CancelledError, Limits, Session
from a2sb_core.web.work import Asked

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
    with pytest.raises(CancelledError):  # also one that was cancelled while it waited
        work.restore(session, torn, asked, LIMITS, silent)
    session.stop.clear()
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
    assert "text.wav" in outcomes[1].error and "2.0 minutes long" in outcomes[2].error
    with zipfile.ZipFile(work.pack(session, outcomes)) as archive:
        assert archive.namelist() == ["torn tape ☂.restored.wav"]
    assert work.pack(session, outcomes[1:]) is None
    steps = []

    def cancel(done, of):
        steps.append(done)
        session.stop.set()

    asked = Asked("bandwidth", model=str(tiny), device="cpu", cutoff="9000")
    (tmp_path / "b.wav").write_bytes(torn.read_bytes())
    cancelled = list(work.restore_many(session, [torn, tmp_path / "b.wav"], asked, LIMITS, cancel))
    assert [one.status for one in cancelled] == ["left", "left"] and len(steps) == 1
    with pytest.raises(AudioError, match="5 files are more than this page takes: 4"):
        next(work.restore_many(session, [torn] * 5, asked, LIMITS, silent))


@pytest.mark.parametrize(("asked", "message"), [
    (Asked("inpaint", gaps="1-2"), "`1-2` is neither `auto` nor START:END"),
    (Asked("inpaint", gaps="1:2, 3:2"), "`3:2`: a gap must start at 0 s or later and end after"),
    (Asked("bandwidth", cutoff="high"), "`high` is neither `auto` nor a frequency in Hz above 0"),
    (Asked("bandwidth", cutoff="-3"), "`-3` is neither"),
])
def test_what_can_not_be_read_is_told(asked, message):
    with pytest.raises(TaskError, match=message):
        asked.options()


def test_what_is_too_long_or_no_audio_is_refused(session, long, tmp_path):
    with pytest.raises(AudioError, match=r"long\.flac is 2\.0 minutes long, and this page takes 1"):
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

    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(app, ["web", "--no-open", "--device", "cpu"])
    assert result.exit_code == 1 and "pip install 'a2sb[web]'" in result.output
    assert json.dumps(result.output).count("Traceback") == 0


@pytest.mark.slow
def test_the_command_serves_asks_for_the_password_and_leaves_nothing(tmp_path):
    pytest.importorskip("gradio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    secret = "open sesame"
    environment = os.environ | {"TMPDIR": str(tmp_path), "A2SB_WEB_PASSWORD": secret}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = "from a2sb_core.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "web", "--no-open", "--device", "cpu", "--port", port],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as served:
        first = served.stdout.readline()
        assert f"the page is at http://127.0.0.1:{port}" in first
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/config")
        assert [path.name[:9] for path in tmp_path.iterdir()] == ["a2sb-web-"]
        served.send_signal(signal.SIGTERM)
        rest = served.stdout.read()
    assert secret not in first + rest and "Traceback" not in rest
    assert served.returncode == 0 and list(tmp_path.iterdir()) == []
