"""The folder of a run: one run at a time, whatever ends it, and what it says of itself."""

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from engine_helpers import train_config, write_audio
from safetensors import SafetensorError

from a2sb_core.config.load import dump
from a2sb_core.engine.runs import LOCK_NAME, alone_in, latest_checkpoint, write_checkpoint
from a2sb_core.engine.training import Trainer
from a2sb_core.errors import TrainingError


@pytest.fixture
def folder(tmp_path):
    write_audio(tmp_path / "audio")
    return tmp_path


def config(folder, **changes):
    data = {"validation_files": 0} | changes.pop("data", {})
    return train_config(folder, data=data, **changes)


def hold(folder):
    """Start a process that holds a run's folder until it is killed."""
    code = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    )
    folder.mkdir()
    command = [sys.executable, "-c", code, str(folder / LOCK_NAME)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_one_run_at_a_time_and_a_killed_one_does_not_block(folder):
    settings = config(folder, steps=1)
    other = hold(settings.output)
    try:
        with pytest.raises(TrainingError, match=rf"another run is using {settings.output}"):
            Trainer(settings).run()
        assert not list(settings.output.glob("*.pt"))
    finally:
        other.kill()
        other.wait()
    Trainer(settings).run()
    assert latest_checkpoint(settings.output).name == "checkpoint-00000001.pt"


def test_the_folder_is_free_again_after_an_error(folder):
    settings = config(folder, steps=2)

    def fail(step, loss):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        Trainer(settings).run(on_step=fail)
    with alone_in(settings.output):
        pass


def test_an_output_that_is_no_folder_is_an_error(folder):
    (folder / "run").write_text("a file")
    with pytest.raises(TrainingError, match=r"output folder .*run can not be used"):
        Trainer(config(folder)).run()


class FullDisk:
    """A file that takes a few bytes and no more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize("room", [0, 3000])
def test_a_full_disk_is_told_and_the_former_checkpoint_stays(folder, monkeypatch, room):
    settings = config(folder, steps=6, checkpoint_every=2, keep_checkpoints=1)
    opened = Path.open

    def full(path, mode="r", *rest, **named):
        file = opened(path, mode, *rest, **named)
        return FullDisk(file, room) if path.name == "checkpoint-00000004.partial" else file

    monkeypatch.setattr(Path, "open", full)
    message = r"checkpoint-00000004.pt could not be written: No space left.*is checkpoint-00000002"
    with pytest.raises(TrainingError, match=message):
        Trainer(settings).run()
    assert [path.name for path in settings.output.glob("checkpoint*")] == ["checkpoint-00000002.pt"]
    monkeypatch.undo()
    losses = {}
    Trainer(settings).run(on_step=losses.__setitem__)
    assert list(losses) == [3, 4, 5, 6]


def test_a_disk_that_is_full_for_the_model_is_told(folder, monkeypatch):
    def full(*_):
        raise SafetensorError("Error while serializing: No space left on device")

    settings = config(folder, steps=1)
    monkeypatch.setattr("a2sb_core.engine.checkpoint.save_file", full)
    message = r"run/model could not be written: .*No space left.*is checkpoint-00000001\.pt"
    with pytest.raises(TrainingError, match=message):
        Trainer(settings).run()
    monkeypatch.undo()
    Trainer(settings).run()
    assert (settings.output / "model" / "model.safetensors").is_file()


def test_the_newest_checkpoints_stay(tmp_path):
    for step in range(1, 6):
        write_checkpoint({"step": step}, tmp_path, step, keep=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint-{step:08d}.pt" for step in (3, 4, 5)]
    assert torch.load(latest_checkpoint(tmp_path), weights_only=True) == {"step": 5}


def test_what_a_killed_run_was_writing_is_cleared_away(folder):
    settings = config(folder, steps=1)
    settings.output.mkdir()
    (settings.output / "checkpoint-00000007.partial").write_bytes(b"half")
    (settings.output / ".model-abc").mkdir()
    Trainer(settings).run()
    left = {path.name for path in settings.output.iterdir()}
    assert left == {".lock", "checkpoint-00000001.pt", "model", "run.json", "tensorboard"}


def test_a_damaged_checkpoint_is_named(folder):
    settings = config(folder, steps=1)
    Trainer(settings).run()
    path = latest_checkpoint(settings.output)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(TrainingError, match=r"checkpoint-00000001\.pt can not be read .*before it"):
        Trainer(config(folder, steps=2)).run()


def test_changes_that_make_other_numbers_are_told(folder, caplog):
    Trainer(config(folder, steps=1)).run()
    Trainer(config(folder, steps=2, data={"gain_db": 3})).run()
    assert "changed since checkpoint-00000001.pt was written: data, steps" in caplog.text


def test_a_run_says_what_it_was(folder):
    rows = [f"train,{path},0.3" for path in sorted((folder / "audio").iterdir())]
    manifest = folder / "train.csv"
    manifest.write_text("\n".join(["split,file_path,duration", *rows]))
    settings = config(folder, steps=1, data={"source": manifest})
    Trainer(settings).run()
    longer = config(folder, steps=2, data={"source": manifest})
    Trainer(longer).run()
    account = json.loads((longer.output / "model" / "run.json").read_text())
    assert account["config"] == dump(longer)
    first, second = account["sessions"]
    assert (first["from_step"], second["from_step"]) == (0, 1)
    assert first["versions"]["torch"] == torch.__version__
    assert first["parts"]["backbone"].startswith("a2sb ")
    assert first["data"] == {
        "sources": [{
            "path": str(manifest), "sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        }],
        "files": 3, "hours": round(0.9 / 3600, 3),
    }
    if first["git"] is not None:
        assert re.fullmatch("[0-9a-f]{40}", first["git"]["commit"])
    assert (longer.output / "run.json").read_text() == json.dumps(account, indent=2) + "\n"


def test_the_commit_is_that_of_the_code(tmp_path, monkeypatch):
    from a2sb_core.engine.runinfo import _commit

    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.org")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "b.py").write_text("1")

    def git(*words):
        done = subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)
        return done.stdout.decode().strip()

    assert _commit(tmp_path) is None
    git("init")
    git("add", "code")
    git("commit", "-m", "code")
    assert _commit(tmp_path / "code") == {"commit": git("rev-parse", "HEAD"), "changed": False}
    (tmp_path / "code" / "a.py").write_text("2")
    assert _commit(tmp_path / "code")["changed"]
    assert _commit(tmp_path / "installed") is None


def command(folder, output, steps):
    settings = config(folder, steps=steps, output=output, checkpoint_every=2, log_every=1)
    file = folder / f"{output.name}.yaml"
    file.write_text(yaml.safe_dump(dump(settings)))
    code = "from a2sb_core.cli import main; main()"
    return [sys.executable, "-c", code, "train", str(file)]


def kill_when(command, ready, wait_s):
    """Start a run, kill it a while after ``ready()``; returns whether it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not ready() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(wait_s)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return running


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_with_the_same_bits(folder):
    steps = 24
    whole, killed = folder / "whole", folder / "killed"
    subprocess.run(command(folder, whole, steps), check=True, capture_output=True)
    run = command(folder, killed, steps)

    def starting():
        return (killed / ".lock").exists()

    def writing():
        return any(killed.glob("*.partial"))

    def after(step):
        def reached():
            found = latest_checkpoint(killed)
            return found is not None and int(found.stem.split("-")[1]) >= step
        return reached

    moments = [
        (starting, 0.0), (writing, 0.0), (after(4), 0.01), (writing, 0.003), (after(10), 0.05),
        (writing, 0.0), (after(16), 0.02),
    ]
    kills = [kill_when(run, ready, wait_s) for ready, wait_s in moments]
    assert sum(kills) >= 5
    subprocess.run(run, check=True, capture_output=True)
    for name in ("model/model.safetensors", "model/config.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    one, other = (
        torch.load(run / f"checkpoint-{steps:08d}.pt", weights_only=True) for run in (whole, killed)
    )
    for part in ("model", "ema"):
        assert all(torch.equal(one[part][key], other[part][key]) for key in one[part])
    assert one["optimizer"]["state"].keys() == other["optimizer"]["state"].keys()
    for number, values in one["optimizer"]["state"].items():
        for key, value in values.items():
            assert torch.equal(value, other["optimizer"]["state"][number][key])
