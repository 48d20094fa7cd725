"""The folder of a training run: its lock and its checkpoints."""

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

from a2sb_core.common.files import PARTIAL_PATTERN, atomic_write
from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

LOCK_NAME = ".lock"
FIXED = (
    "model",
    "seed",
    "batch_size",
    "accumulate",
    "t_range",
    "times",
    "objective",
    "critic",
    "ema_decay",
)
"""Fields that a resumed run may not change."""
FIXED_OPTIMIZER = ("kind", "learning_rate", "betas", "weight_decay")
"""Fields of the optimizer that come from the checkpoint: a change would have no effect."""
REPORTED = ("data", "precision", "init_from", "steps", "optimizer")
"""Fields that a resumed run may change; the log names them, because they change its results."""


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Lock a run's folder for this process; the system releases it however the process ends.

    Raises:
        TrainingError: another process has locked it, or it cannot be written to.
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
        raise TrainingError(f"the output folder {run} cannot be used: {error}") from error
    try:
        yield
    finally:
        lock.release()


def clear_leftovers(run: Path) -> None:
    """Remove the unfinished files of a process that was killed."""
    for partial in run.glob(PARTIAL_PATTERN):
        partial.unlink()
    for staging in run.glob(".model-*"):
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Report what could not be written, and from where the run can resume.

    Raises:
        TrainingError: writing failed, for instance because the disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch wraps errors of its writer
        previous = latest_checkpoint(path.parent)
        kept = f"the last checkpoint is {previous.name}" if previous else "there is no checkpoint"
        raise TrainingError(
            f"{path} could not be written: {_cause(error)}; {kept}. "
            "Free some space and run the same command again to resume"
        ) from error


def write_checkpoint(state: dict[str, Any], run: Path, step: int, keep: int) -> Path:
    """Write a training checkpoint and remove all but the last ``keep``.

    Raises:
        TrainingError: it cannot be written; the checkpoints before it are still there.
    """
    path = run / f"checkpoint-{step:08d}.pt"
    with writing(path), atomic_write(path) as partial, partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    for old in sorted(run.glob("checkpoint-*.pt"))[:-keep]:
        old.unlink()
    return path


def _cause(error: BaseException) -> str:
    """Return the message of the operating system below the exceptions that wrap it."""
    while not isinstance(error, OSError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__ or error
    return str(getattr(error, "strerror", None) or error)


def latest_checkpoint(run: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None."""
    return max(run.glob("checkpoint-*.pt"), default=None)


def set_aside_checkpoints(run: Path) -> None:
    """Rename the checkpoints of an earlier run, so that a new run does not resume from them."""
    for old in run.glob("checkpoint-*.pt"):
        old.replace(old.with_suffix(".old"))


def read_checkpoint(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Read a checkpoint without running code of it, and check that it fits a configuration.

    Returns:
        The state that was written; ``precision`` is set in those of all versions.

    Raises:
        TrainingError: it is damaged, or belongs to another model, seed, batch size or optimizer;
            the message names the fields.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        stored = state["config"]
    except Exception as error:  # a damaged file fails in many ways
        raise TrainingError(
            f"{path} cannot be read ({type(error).__name__}: {error}); "
            "move it away to resume from the checkpoint before it"
        ) from error
    try:
        other = TrainConfig.model_validate(stored).model_dump(mode="json")
    except ValidationError as error:
        raise TrainingError(f"{path} was written by another version: {error}") from error
    # The first versions had no measured precision: what they computed in is their setting.
    other["precision"] = state.setdefault("precision", other["precision"])
    _compare(path, config.model_dump(mode="json"), other)
    return state


def _compare(path: Path, own: dict[str, Any], other: dict[str, Any]) -> None:
    """Refuse or report what differs between a configuration and that of a checkpoint."""
    if own["precision"] == "auto":
        own["precision"] = other["precision"]
    pairs = {name: (own[name], other[name]) for name in FIXED}
    for name in FIXED_OPTIMIZER:
        pairs[f"optimizer.{name}"] = own["optimizer"][name], other["optimizer"][name]
    different = [name for name, (one, two) in pairs.items() if one != two]
    if different:
        raise TrainingError(
            f"{path} belongs to another configuration (different: {', '.join(different)}); "
            "choose another output folder or restore the settings"
        )
    changed = [name for name in REPORTED if own[name] != other[name]]
    if changed:
        log.warning("changed since %s was written: %s", path.name, ", ".join(changed))
