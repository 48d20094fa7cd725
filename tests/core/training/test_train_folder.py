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

import pytest
import torch
import yaml
from engine_helpers import train_config, write_samples
from safetensors import SafetensorError
from training_checks import assert_equal, read_state

from a2sb_core.config.loading import dump
from a2sb_core.errors import TrainingError
from a2sb_core.training.run_folder import LOCK_NAME, alone_in, latest_checkpoint
from a2sb_core.training.run_record import write_record
from a2sb_core.training.trainer import Trainer


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
    with pytest.raises(TrainingError, match=r"output folder .*run cannot be used"):
        Trainer(config(folder)).run()


def test_a_full_disk_is_reported_and_the_previous_checkpoint_stays(folder, monkeypatch):
    settings = config(folder, steps=6, checkpoint_every=2, keep_checkpoints=1)
    save = torch.save

    def full(state, file):
        if state["step"] == 4:
            file.write(b"half a checkpoint")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    message = r"checkpoint-00000004.pt could not be written: No space left.*is checkpoint-00000002"
    with pytest.raises(TrainingError, match=message):
        Trainer(settings).run()
    assert latest_checkpoint(settings.output).name == "checkpoint-00000002.pt"
    assert len(list(settings.output.glob("*check*"))) == 1
    monkeypatch.undo()
    losses = {}
    Trainer(settings).run(on_step=losses.__setitem__)
    assert list(losses) == [3, 4, 5, 6]


def test_a_disk_that_is_full_for_the_model_is_told(folder, monkeypatch):
    def full(*_):
        raise SafetensorError("Error while serializing: No space left on device")

    settings = config(folder, steps=1)
    monkeypatch.setattr("a2sb_core.models.folder.save_file", full)
    message = r"run/model could not be written: .*No space left.*is checkpoint-00000001\.pt"
    with pytest.raises(TrainingError, match=message):
        Trainer(settings).run()
    monkeypatch.undo()
    Trainer(settings).run()
    assert (settings.output / "model" / "model.safetensors").is_file()


def test_what_a_killed_run_was_writing_is_cleared_away(folder):
    settings = config(folder, steps=1)
    settings.output.mkdir()
    (settings.output / ".a2sb-0123.part").write_bytes(b"half")
    (settings.output / ".model-abc").mkdir()
    Trainer(settings).run()
    left = {path.name for path in settings.output.iterdir()}
    assert left == {".lock", "checkpoint-00000001.pt", "model", "run.json", "tensorboard"}


def test_checkpoints_that_are_damaged_or_of_another_version_are_refused(folder):
    settings = config(folder, steps=1)
    Trainer(settings).run()
    path, state = latest_checkpoint(settings.output), read_state(settings.output, 1)
    torch.save(state | {"config": state["config"] | {"unknown": 1}}, path)
    with pytest.raises(
        TrainingError, match=r"(?s)checkpoint-00000001\.pt .*another version.*unknown"
    ):
        Trainer(config(folder, steps=2)).run()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(TrainingError, match=r"checkpoint-00000001\.pt cannot be read .*before it"):
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
        "sources": [
            {"path": str(manifest), "sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}
        ],
        "files": 3,
        "hours": round(0.9 / 3600, 3),
    }
    if first["git"] is not None:
        assert re.fullmatch("[0-9a-f]{40}", first["git"]["commit"])
    assert (longer.output / "run.json").read_text() == json.dumps(account, indent=2) + "\n"


def test_the_commit_is_that_of_the_working_folder(tmp_path, monkeypatch):
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.org")
    for name in ("code", "installed"):
        write_samples(tmp_path / name / "a.wav", [1.0])
    settings = config(tmp_path)

    def git(*words):
        done = subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)
        return done.stdout.decode().strip()

    def recorded(place):
        monkeypatch.chdir(place)
        text = write_record(
            tmp_path / "run.json", settings, [], step=0, processes=1, device="", precision=""
        )
        return json.loads(text)["sessions"][0]["git_here"]

    assert recorded(tmp_path) is None
    git("init")
    git("add", "code")
    git("commit", "-m", "code")
    assert recorded(tmp_path / "code") == {"commit": git("rev-parse", "HEAD"), "changed": False}
    write_samples(tmp_path / "code" / "a.wav", [0.5])
    assert recorded(tmp_path / "code")["changed"]
    assert recorded(tmp_path / "installed") is None


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
        return any(killed.glob(".a2sb-*.part"))

    def after(step):
        def reached():
            found = latest_checkpoint(killed)
            return found is not None and int(found.stem.split("-")[1]) >= step

        return reached

    moments = [
        (starting, 0.0),
        (writing, 0.0),
        (after(4), 0.01),
        (writing, 0.003),
        (after(10), 0.05),
        (writing, 0.0),
        (after(16), 0.02),
    ]
    kills = [kill_when(run, ready, wait_s) for ready, wait_s in moments]
    assert sum(kills) >= 5
    subprocess.run(run, check=True, capture_output=True)
    for name in ("model/model.safetensors", "model/config.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    one, other = (read_state(run, steps) for run in (whole, killed))
    assert_equal(one, other | {"config": one["config"]})


def test_a_run_that_resumes_with_other_code_of_a_plugin_is_reported(tmp_path, caplog):
    write_samples(tmp_path / "audio" / "a.wav", [1.0])
    settings, path = config(tmp_path), tmp_path / "run.json"

    def resume():
        caplog.clear()
        write_record(path, settings, [], step=1, processes=1, device="", precision="")
        return "the code of a plugin has changed" in caplog.text

    assert not resume() and not resume()
    record = json.loads(path.read_text())
    record["sessions"][0]["code"] = {"a2sb-hum": "0123"}
    path.write_text(json.dumps(record))
    assert resume()
