"""What the page does, without a browser."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.jobs.job_process import CancelledError
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.restoring import check_recording
from a2sb_core.web import work
from a2sb_core.web.session import Session
from a2sb_core.web.work import PageRequest

RATE = 44100
LIMITS = Limits(minutes=1.0, files=4)


@pytest.fixture
def session(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return Session.new(root)


def silent(job):
    pass


def test_it_finds_what_analyze_finds(process, session, torn, tiny):
    found, view = work.look(process, session, torn, LIMITS, str(tiny), Event())
    (gap,) = (one.damage for one in found.findings if one.task == "inpaint")
    ((start, _),) = gap.parameters.gaps_s
    assert start == pytest.approx(1, abs=1e-3)
    assert view["duration_s"] == 3.0
    (before,) = view["versions"]
    assert Path(before["image"]).read_bytes().startswith(b"\x89PNG")
    heard, rate = soundfile.read(before["audio"])
    assert rate == RATE and heard.shape == (3 * RATE, 2)
    assert np.abs(heard - soundfile.read(torn)[0]).max() < 2**-14
    assert [tick["label"] for tick in view["ticks"]][-2:] == ["8", "16"]
    assert 0 < view["ticks"][0]["at"] < view["ticks"][-1]["at"] < 1


@pytest.mark.parametrize(
    ("task", "options", "arguments"),
    [
        ("inpaint", {}, []),
        ("inpaint", {"texts": {"--gap": "0.5:0.6, 1:1.5"}}, ["--gap", "0.5:0.6", "--gap", "1:1.5"]),
        (
            "bandwidth",
            {"texts": {"--cutoff": "9000"}, "suffix": ".flac", "seed": 3},
            ["--cutoff", "9000", "--seed", "3"],
        ),
    ],
)
def test_the_result_is_that_of_the_command(
    queue, session, torn, tiny, tmp_path, task, options, arguments
):
    from a2sb_core.cli import app

    asked = PageRequest(task, model=str(tiny), **options)
    steps = []
    done = work.restore(queue, session, torn, asked, steps.append)
    suffix = options.get("suffix", ".wav")
    assert done.target.name == f"torn tape ☂.restored{suffix}"
    assert [one["name"] for one in done.view["versions"]] == ["before", "after"]
    assert steps and "Done in" in done.text
    out = tmp_path / f"out{suffix}"
    result = CliRunner().invoke(
        app,
        [
            "restore",
            str(torn),
            "-o",
            str(out),
            "--task",
            task,
            "--model",
            str(tiny),
            "--device",
            "cpu",
            *arguments,
        ],
    )
    assert result.exit_code == 0, result.output
    assert soundfile.info(out).subtype == soundfile.info(done.target).subtype == "PCM_24"
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(done.target)[0])


def test_a_cancelled_restoration_leaves_nothing(queue, session, torn, tiny):
    def cancel(job):
        session.stop.set()

    asked = PageRequest("bandwidth", model=str(tiny), texts={"--cutoff": "9000"})
    with pytest.raises(CancelledError, match="nothing was written"):
        work.restore(queue, session, torn, asked, cancel)
    assert os.listdir(session.folder) == []
    with pytest.raises(CancelledError):  # also one that was cancelled while it waited
        work.restore(queue, session, torn, asked, silent)
    session.stop.clear()
    assert work.restore(queue, session, torn, asked, silent).target.is_file()  # and it goes on
    session.close()
    assert not session.folder.exists()


def test_many_files_are_done_in_turn_and_packed(queue, session, torn, tiny, long, tmp_path):
    import zipfile

    (tmp_path / "text.wav").write_text("no audio")
    paths = [torn, tmp_path / "text.wav", long]
    asked = PageRequest("inpaint", model=str(tiny))
    outcomes = list(work.restore_many(queue, session, paths, asked, silent))
    assert [one.status for one in outcomes] == ["restored", "failed", "failed"]
    assert "text.wav" in outcomes[1].error and "2.0 minutes long" in outcomes[2].error
    with zipfile.ZipFile(work.pack(session, outcomes)) as archive:
        assert archive.namelist() == ["torn tape ☂.restored.wav"]
    assert work.pack(session, outcomes[1:]) is None
    steps = []

    def cancel(job):
        steps.append(job)
        session.stop.set()

    asked = PageRequest("bandwidth", model=str(tiny), texts={"--cutoff": "9000"})
    (tmp_path / "b.wav").write_bytes(torn.read_bytes())
    cancelled = list(work.restore_many(queue, session, [torn, tmp_path / "b.wav"], asked, cancel))
    assert [one.status for one in cancelled] == ["left", "left"] and len(steps) == 1
    with pytest.raises(AudioError, match=r"5 files .*: 4"):
        next(work.restore_many(queue, session, [torn] * 5, asked, silent))


@pytest.mark.parametrize(
    ("task", "texts", "word"),
    [
        ("inpaint", {"--gap": "1-2"}, "1-2"),
        ("inpaint", {"--gap": "1:2, 3:2"}, "3:2"),
        ("bandwidth", {"--cutoff": "high"}, "high"),
        ("bandwidth", {"--cutoff": "-3"}, "-3"),
    ],
)
def test_malformed_damage_is_refused(tiny, task, texts, word):
    with pytest.raises(TaskError, match=word):
        PageRequest(task, str(tiny), texts=texts).request()


def test_marks_follow_the_fields(tiny):
    request = PageRequest("inpaint", str(tiny), texts={"--gap": "1:1.5"})
    assert request.marks().stretches_s == ((1.0, 1.5),)
    assert PageRequest("inpaint", str(tiny)).marks() is None


def test_the_page_offers_the_tasks_of_the_model(tiny):
    assert work.tasks(str(tiny)) == [("Extend bandwidth", "bandwidth"), ("Fill gaps", "inpaint")]


def test_what_is_too_long_or_no_audio_is_refused(process, session, long, tmp_path):
    with pytest.raises(AudioError, match=r"long\.flac is 2\.0 minutes long"):
        work.look(process, session, long, LIMITS, "small", Event())
    (tmp_path / "notes.txt").write_text("la la")
    with pytest.raises(A2SBError, match=r"notes\.txt"):
        work.look(process, session, tmp_path / "notes.txt", LIMITS, "small", Event())


@pytest.mark.parametrize(
    ("channels", "rate", "seconds", "is_refused"),
    [(2, 48000, 59, False), (1, 8000, 59, False), (8, 48000, 16, True), (2, 192000, 16, True)],
)
def test_channels_and_rate_count_as_length(
    process, session, tmp_path, channels, rate, seconds, is_refused
):
    path = tmp_path / "wide.flac"
    soundfile.write(path, np.zeros((seconds * rate, channels), np.int16), rate)
    if is_refused:
        with pytest.raises(
            AudioError, match=r"wide\.flac is 0\.3 minutes .* 1\.1 minutes of stereo"
        ):
            work.look(process, session, path, LIMITS, "small", Event())
    else:
        check_recording(path, LIMITS)


def test_too_many_steps_and_too_much_time_are_refused(queue, session, torn, tiny, monkeypatch):
    asked = PageRequest("bandwidth", str(tiny), {"--cutoff": "9000"}, steps=1_000_000_000)
    with pytest.raises(TaskError, match="200"):
        work.restore(queue, session, torn, asked, silent)
    with pytest.raises(TaskError, match="200"):
        next(work.restore_many(queue, session, [torn], asked, silent))
    monkeypatch.setattr(queue, "limits", replace(LIMITS, work_minutes=0))
    with pytest.raises(A2SBError, match="0 minutes"):
        work.restore(queue, session, torn, replace(asked, steps=1), silent)
    assert os.listdir(session.folder) == [] or not any(session.folder.rglob("*.wav"))


@pytest.mark.parametrize("case", work.examples(), ids=lambda case: case.task)
def test_examples_are_damaged_for_their_task(process, session, case):
    found, _ = work.look(process, session, work.example(session, case), LIMITS, "small", Event())
    damaged = {one.task for one in found.findings if one.damage}
    assert case.task in damaged


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
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
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
