"""`a2sb restore` of many files."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from process import A2SB

RATE = 44100


@pytest.fixture
def batch(a2sb, model_folder):
    def run(*arguments):
        return a2sb(
            "restore",
            *arguments,
            "--task",
            "bandwidth",
            "--cutoff",
            4000,
            "--model",
            model_folder,
            "--device",
            "cpu",
            "--steps",
            1,
        )

    return run


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def break_five(folder):
    """Break five files in different ways; return their names."""
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is no audio")
    short = (folder / "000.wav").read_bytes()[:30]
    (folder / "cut.wav").write_bytes(short)
    wave = np.full(3000, 0.1)
    wave[7] = np.nan
    soundfile.write(folder / "nan.wav", wave, RATE, subtype="DOUBLE")
    os.symlink(folder / "gone.wav", folder / "dangling.wav")
    return {"empty.wav", "text.wav", "cut.wav", "nan.wav", "dangling.wav"}


@pytest.mark.parametrize("count", [7, pytest.param(195, marks=pytest.mark.slow)])
def test_broken_files_are_named_and_the_others_restored(count, collection, batch, tmp_path):
    folder = collection(count)
    broken = break_five(folder)
    before = contents(folder.parent / "music") if count < 10 else None
    done = batch(folder, "-o", tmp_path / "out", "--report", tmp_path / "run.json")
    assert done.exit_code == 3, done.stderr
    assert f"{count} restored, 5 failed" in done.stdout
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["counts"] == {"restored": count, "failed": 5}
    failed = [entry for entry in report["files"] if entry["status"] == "failed"]
    assert {os.path.basename(entry["input"]) for entry in failed} == broken
    for entry in failed:
        assert os.path.basename(entry["input"]) in done.stdout
        assert entry["error"] and "unexpected" not in entry["error"]
    written = contents(tmp_path / "out")
    assert len(written) == count
    assert "002.restored.wav" in {os.path.basename(name) for name in written}
    assert (tmp_path / "out/deep/002.restored.wav").exists()
    assert before is None or contents(folder) == before

    again = batch(folder, "-o", tmp_path / "out", "--skip-existing")
    assert again.exit_code == 3
    assert f"{count} skipped, 5 failed" in again.stdout
    assert contents(tmp_path / "out") == written


def test_all_done_is_success_and_nothing_is_loaded_for_nothing(collection, batch, tmp_path, a2sb):
    folder = collection(2)
    done = batch(folder / "*.wav", "-o", tmp_path / "out", "--filename", "{stem} new{ext}")
    assert done.exit_code == 0, done.stderr
    assert sorted(contents(tmp_path / "out")) == ["000 new.wav", "001 new.wav"]
    again = a2sb(
        "restore",
        folder,
        "-o",
        tmp_path / "out",
        "--filename",
        "{stem} new{ext}",
        "--task",
        "bandwidth",
        "--model",
        "no such model",
        "--skip-existing",
    )
    assert again.exit_code == 0, again.stderr
    assert "2 skipped" in again.stdout


def test_what_one_file_gives_it_gives_among_many(collection, batch, tmp_path):
    folder = collection(3)
    assert batch(folder, "-o", tmp_path / "out").exit_code == 0
    assert batch(folder / "001.wav", "-o", tmp_path / "one.wav").exit_code == 0
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "out/001.restored.wav").read_bytes()


def test_outputs_that_are_there_are_asked_about(collection, batch, tmp_path, fails):
    folder = collection(3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/001.restored.wav").write_bytes(b"mine")
    result = batch(folder, "-o", tmp_path / "out")
    fails(result, "1 of 3 outputs exist already", "--skip-existing", "--overwrite")
    assert contents(tmp_path / "out") == {"001.restored.wav": b"mine"}
    assert batch(folder, "-o", tmp_path / "out", "--overwrite").exit_code == 0
    assert (tmp_path / "out/001.restored.wav").read_bytes() != b"mine"


def test_a_single_file_that_is_there_can_be_skipped(low_file, batch, tmp_path):
    (tmp_path / "out.wav").write_bytes(b"mine")
    done = batch(low_file, "-o", tmp_path / "out.wav", "--skip-existing")
    assert done.exit_code == 0 and "exists already" in done.stdout
    assert (tmp_path / "out.wav").read_bytes() == b"mine"


def test_wrong_wishes(collection, batch, tmp_path, fails):
    folder = collection(2)
    (tmp_path / "file.wav").touch()
    fails(batch(folder, "-o", tmp_path / "file.wav"), "several files need a folder", code=2)
    fails(batch(folder, "-o", tmp_path / "out", "--json"), "--report", code=2)
    fails(batch(folder, "-o", folder / "out"), "lies within")
    fails(batch(tmp_path / "no*.wav", "-o", tmp_path / "out"), "found no audio")
    assert not (tmp_path / "out").exists()


def test_progress_for_programs(collection, batch, tmp_path):
    done = batch(collection(3), "-o", tmp_path / "out", "--progress", "json", "--quiet")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["files"], line["of"], line["status"]) for line in lines] == [
        (i, 3, "restored") for i in (1, 2, 3)
    ]
    assert done.stdout == ""


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_batch_that_is_ended_goes_on_and_does_nothing_twice(
    sign, code, collection, model_folder, tmp_path
):
    folder = collection(12, duration_s=1.5)
    asked = ("--task", "bandwidth", "--cutoff", "4000", "--model", model_folder, "--device", "cpu")
    report = tmp_path / "run.json"
    command = [*A2SB, "restore", folder, "-o", tmp_path / "out", *asked]
    command += ["--skip-existing", "--report", report]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list((tmp_path / "out").rglob("[0-9]*.wav"))) < 3 and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(sign)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == code
    early = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("[0-9]*.wav")}
    assert 3 <= len(early) < 12
    if sign == signal.SIGINT:
        assert "left undone" in said
        assert json.loads(report.read_text())["counts"]["left"] > 0
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert f"{12 - len(early)} restored, {len(early)} skipped" in second.stdout
    for path in (tmp_path / "out").rglob("[0-9]*.wav"):
        assert soundfile.info(path).frames == round(1.5 * RATE)
        assert early.get(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert len(list((tmp_path / "out").rglob("[0-9]*.wav"))) == 12


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_need_not_be_utf_8(collection, batch, tmp_path):
    folder = collection(1)
    for name in (b"caf\xe9.wav", b"esc\x1b[31m.wav"):
        (folder / os.fsdecode(name)).write_bytes((folder / "000.wav").read_bytes())
    (folder / os.fsdecode(b"bad\xe9.wav")).write_text("no audio")
    done = batch(folder, "-o", tmp_path / "out", "--report", tmp_path / "run.json")
    assert done.exit_code == 3, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["counts"] == {"restored": 3, "failed": 1}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    collection, batch, tmp_path, fails
):
    done = batch(collection(2), "-o", tmp_path / "out", "--report", tmp_path / "none" / "run.json")
    fails(done, "report", "run.json")
    assert not (tmp_path / "out").exists()


def test_a_report_of_one_file_is_refused(collection, batch, tmp_path):
    source = collection(1) / "000.wav"
    done = batch(source, "-o", tmp_path / "out.wav", "--report", tmp_path / "run.json")
    assert done.exit_code == 2
    assert "--json" in done.stderr and not (tmp_path / "out.wav").exists()


def test_a_skipped_file_is_reported_as_asked(collection, batch, tmp_path):
    source, target = collection(1) / "000.wav", tmp_path / "out.wav"
    target.write_bytes(b"precious")
    quiet = batch(source, "-o", target, "--skip-existing", "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (0, "")
    told = json.loads(batch(source, "-o", target, "--skip-existing", "--json").stdout)
    assert told["restored"] is False and target.read_bytes() == b"precious"
