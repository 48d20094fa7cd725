"""Several processes take the steps of one: launched as a user would, on two CPU processes."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from engine_helpers import train_config, without_dropout
from training_checks import read_log, read_state

from a2sb_core.config.loading import dump
from a2sb_core.models.loading import load_model
from a2sb_core.training.trainer import Trainer

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
FSDP = ("--use_fsdp", "--fsdp_version", "2")


def config(folder, name, **changes):
    fields = {
        "model": without_dropout(),
        "output": folder / name,
        "steps": 4,
        "batch_size": 4,
        "log_every": 1,
        "validate_every": 4,
        "checkpoint_every": 2,
        "keep_checkpoints": 9,
        "validation": {"tasks": ("bandwidth-4k",), "clips": 1},
        "data": {"validation_files": 1},
    }
    return train_config(folder, **(fields | changes))


def launch(settings, *options):
    """Run ``a2sb train`` on two processes."""
    file = settings.output.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(dump(settings)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fixed = "--num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    words = [*fixed.split(), "--main_process_port", port, *options, "--no_python"]
    command = [BIN / "accelerate", "launch", *words, BIN / "a2sb", "train", file]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def losses(run):
    return {event.step: event.value for event in read_log(run).Scalars("loss/train")}


def assert_close(one, other):
    """Compare checkpoints of runs that are divided differently."""
    for part in ("model", "ema"):
        assert one[part].keys() == other[part].keys()
        for key, value in one[part].items():
            assert type(other[part][key]) is torch.Tensor
            torch.testing.assert_close(other[part][key], value, rtol=1e-3, atol=1e-4)
    mine, theirs = one["optimizer"]["state"], other["optimizer"]["state"]
    assert mine.keys() == theirs.keys()
    for number, values in mine.items():
        for key, value in values.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(
                theirs[number][key], value, rtol=1e-2, atol=1e-3 * scale + 1e-12
            )


@pytest.mark.parametrize("options", [("--multi_gpu",), FSDP])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_take_the_steps_of_one(folder, options, accumulate):
    alone, both = config(folder, "alone"), config(folder, "both", accumulate=accumulate)
    Trainer(alone).run()
    done = launch(both, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"wrote {both.output / 'model'}\n"
    assert losses(both.output) == pytest.approx(losses(alone.output), rel=1e-4)
    for step in (2, 4):
        assert_close(read_state(alone.output, step), read_state(both.output, step))
    found, wanted = (load_model(c.output / "model").state_dict() for c in (both, alone))
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [("--multi_gpu",), FSDP])
def test_a_run_goes_on_with_another_number_of_processes(folder, options):
    whole = config(folder, "whole")
    Trainer(whole).run()
    mixed = config(folder, "mixed", steps=2)
    Trainer(mixed).run()
    done = launch(config(folder, "mixed", steps=4), *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed from" in done.stderr
    assert_close(read_state(whole.output, 4), read_state(mixed.output, 4))
    again = config(folder, "mixed", steps=5)
    Trainer(again).run()
    assert 5 in losses(again.output)


def test_an_error_of_one_process_ends_the_run(folder):
    settings = config(folder, "wrong", batch_size=3)
    done = launch(settings, "--multi_gpu")
    assert done.returncode != 0
    assert "batch_size 3 must be a multiple of processes x accumulate (2 x 1)" in done.stderr
