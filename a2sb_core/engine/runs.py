"""The folder of a training run: its lock, its checkpoints, and the account of what was run."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError
from safetensors import SafetensorError

from a2sb_core.config.run import TrainConfig
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

LOCK_NAME = ".lock"
SAME = ("model", "seed", "batch_size", "accumulate", "t_range", "times", "stft_weight",
        "ema_decay")
"""Fields that a resumed run may not change."""
SAME_OPTIMIZER = ("kind", "learning_rate", "betas", "weight_decay")
"""The stored optimizer brings these with it: a change would be ignored."""
TOLD = ("data", "precision", "init_from", "steps", "optimizer")
"""Fields whose change makes other numbers, and is told."""


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the system frees it however the process ends.

    Raises:
        TrainingError: another process holds it, or it can not be written to.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / LOCK_NAME)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"another run is using {run}: wait for it or stop it, or choose another output folder"
        ) from error
    except OSError as error:
        raise TrainingError(f"the output folder {run} can not be used: {error}") from error
    try:
        yield
    finally:
        lock.release()


def clear_leftovers(run: Path) -> None:
    """Remove what a killed process was just writing."""
    for partial in run.glob("checkpoint-*.partial"):
        partial.unlink()
    for staging in run.glob(".model-*"):
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what could not be written, and from where the run can go on.

    Raises:
        TrainingError: the disk is full, or the like.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch wraps what its writer meets
        former = latest_checkpoint(path.parent)
        kept = f"the last checkpoint is {former.name}" if former else "there is no checkpoint yet"
        raise TrainingError(
            f"{path} could not be written: {_cause(error)}; {kept}. "
            "Make room and run the same command again to go on from there"
        ) from error


def write_checkpoint(state: dict[str, Any], run: Path, step: int, keep: int) -> Path:
    """Write a training checkpoint aside, rename it, and remove all but the last ``keep``.

    Raises:
        TrainingError: it can not be written; what was there before is still there.
    """
    path = run / f"checkpoint-{step:08d}.pt"
    partial = path.with_suffix(".partial")
    with writing(path):
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    for old in sorted(run.glob("checkpoint-*.pt"))[:-keep]:
        old.unlink()
    return path


def _cause(error: BaseException) -> str:
    """What the system said, below what was made of it."""
    while not isinstance(error, OSError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__ or error
    return str(getattr(error, "strerror", None) or error)


def latest_checkpoint(run: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, or None."""
    return max(run.glob("checkpoint-*.pt"), default=None)


def set_aside_checkpoints(run: Path) -> None:
    """Rename the checkpoints of an earlier run: a new run must not go on from them."""
    for old in run.glob("checkpoint-*.pt"):
        old.replace(old.with_suffix(".old"))


def read_checkpoint(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Read a checkpoint, safely unpickled, and check that it is of this configuration.

    Raises:
        TrainingError: it is damaged, or of another model, seed, batch size or optimizer; the
            message names the fields.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        stored = state["config"]
    except Exception as error:  # a damaged file fails in many ways
        raise TrainingError(
            f"{path} can not be read ({type(error).__name__}: {error}); "
            "move it away to go on from the checkpoint before it"
        ) from error
    try:
        other = TrainConfig.model_validate(stored).model_dump(mode="json")
    except ValidationError as error:
        raise TrainingError(f"{path} was written by another version: {error}") from error
    own = config.model_dump(mode="json")
    different = [name for name in SAME if own[name] != other[name]]
    different += [
        f"optimizer.{name}" for name in SAME_OPTIMIZER
        if own["optimizer"][name] != other["optimizer"][name]
    ]
    if different:
        raise TrainingError(
            f"{path} belongs to another configuration (different: {', '.join(different)}); "
            "choose another output folder or restore the settings"
        )
    changed = [name for name in TOLD if own[name] != other[name]]
    if changed:
        log.warning("changed since %s was written: %s", path.name, ", ".join(changed))
    return state
