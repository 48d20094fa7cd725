"""Restoring from file to file, or through pipes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.pipes import PipeReader, PipeWriter
from a2sb_core.engine.part import Part, refuse_part
from a2sb_core.errors import AudioError
from a2sb_core.interfaces import FrozenConfig

if TYPE_CHECKING:
    from a2sb_core.engine.job import Job
    from a2sb_core.engine.model import Model
    from a2sb_core.engine.restorer import Restorer

OnDamage = Callable[[FrozenConfig | None], None]

PIPE = "-"
BLOCK_SAMPLES = 1 << 17  # read at once
PART_FROM_S = 300.0  # longer recordings are worth continuing
LOOKAHEAD_S = 30.0  # of a pipe, to find what is missing and how loud it is


@dataclass(frozen=True)
class Source:
    """Where audio comes from; ``frames`` is None for a pipe that does not tell its length."""

    name: str
    sample_rate: int
    channels: int
    frames: int | None
    blocks: Iterable[Tensor]
    info: files.AudioInfo | None = None

    @classmethod
    def open(cls, path: str | Path) -> Source:
        """Open a file, or stdin where ``path`` is ``-``.

        Raises:
            AudioError: it can not be read as audio.
        """
        if str(path) == PIPE:
            pipe = PipeReader()
            arriving = map(torch.from_numpy, pipe.blocks(BLOCK_SAMPLES))
            return cls("stdin", pipe.sample_rate, pipe.channels, pipe.frames, arriving)
        info = files.info(path)
        blocks = _FileBlocks(path, BLOCK_SAMPLES)
        return cls(str(path), info.sample_rate, info.channels, info.frames, blocks, info)


@dataclass(frozen=True)
class _FileBlocks:
    """The blocks (C, n) of a file, from its start each time they are asked for."""

    path: str | Path
    size: int

    def __len__(self) -> int:
        return -(-files.info(self.path).frames // self.size)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        for block in files.read_blocks(self.path, self.size):
            yield torch.from_numpy(block)


def check_paths(
    source: str | Path, target: str | Path, *, overwrite: bool = False, resume: bool = False
) -> None:
    """Refuse a source or target that can not be, before any work is done.

    Raises:
        AudioError: why.
    """
    if str(target) != PIPE:
        files.check_target(
            target, overwrite=overwrite, source=None if str(source) == PIPE else source
        )
        refuse_part(Path(target), resume)
    if str(source) != PIPE:
        files.info(source)
    if resume and PIPE in (str(source), str(target)):
        raise AudioError("a pipe can not be continued: leave out --resume (resume=True)")


def restore_file(
    restorer: Restorer, source: str | Path, target: str | Path, *, task: str, overwrite: bool,
    clip_mode: files.ClipMode, resume: bool, on_damage: OnDamage | None = None, **options: Any,
) -> FrozenConfig | None:
    """Do what :meth:`Restorer.restore_file` says."""
    check_paths(source, target, overwrite=overwrite, resume=resume)
    audio = Source.open(source)
    job = restorer.job(
        audio.blocks, audio.sample_rate, task=task, samples=audio.frames,
        lookahead_s=LOOKAHEAD_S, **options,
    )
    if on_damage is not None:
        on_damage(job.damage)
    if str(target) == PIPE:
        with PipeWriter(sys.stdout.buffer, job.output_rate, audio.channels) as pipe:
            for block in job.run():
                pipe.write(block)
    elif job.plan is None and _is_same_format(audio, Path(target), job.output_rate):
        _copy(Path(source), Path(target))
    else:
        writer = files.AudioWriter(
            target, job.output_rate, audio.channels, like=audio.info, overwrite=overwrite,
            clip_mode=clip_mode,
        )
        if resume or (audio.info is not None and audio.info.duration_s > PART_FROM_S):
            _write_in_parts(restorer.model, audio, job, Path(target), writer, resume)
        else:
            with writer:
                for block in job.run():
                    writer.write(block)
    return job.damage


def _write_in_parts(
    model: Model, audio: Source, job: Job, target: Path, writer: files.AudioWriter, resume: bool
) -> None:
    """Keep what is finished until all is, so that another run can continue."""
    settings = {"source": _identity(Path(audio.name)), "model": _digest(model)} | job.settings()
    part = Part(target, audio.channels, settings, resume)
    with part:
        for block in job.run(part.samples):
            part.write(block)
    with writer:
        for block in part.blocks():
            writer.write(block)
    part.remove()


def _identity(path: Path) -> dict[str, Any]:
    """Return what changes when a file does."""
    status = path.stat()
    return {"name": path.name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _digest(model: Model) -> str:
    """Return a short name of a model's composition and weights."""
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {float(value.double().sum())!r}".encode())
    return digest.hexdigest()[:16]


def _is_same_format(audio: Source, target: Path, output_rate: int) -> bool:
    if audio.info is None or audio.sample_rate != output_rate:
        return False
    return Path(audio.name).suffix.lower() == target.suffix.lower()


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that the target is never there half."""
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    try:
        shutil.copyfile(source, partial)
        shutil.copymode(source, partial)
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)
