"""Restoring from file to file, or through pipes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.formats import DEPTHS, KEEP
from a2sb_core.audio.pipes import PipeReader, PipeWriter
from a2sb_core.audio.writing import put_in_place
from a2sb_core.engine.part import Part, refuse_part
from a2sb_core.engine.stereo import Stereo, channels_of, check_stereo, form, restore_form
from a2sb_core.errors import AudioError
from a2sb_core.interfaces import FrozenConfig

if TYPE_CHECKING:
    from a2sb_core.engine.job import Job
    from a2sb_core.engine.model import Model
    from a2sb_core.engine.restorer import Restorer

OnDamage = Callable[[FrozenConfig | None], None]
OnNote = Callable[[str], None]

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

    def formed(self, stereo: Stereo) -> Source:
        """Return this source as what is restored of its channels.

        Raises:
            TaskError: there are too many for ``stereo``.
        """
        check_stereo(stereo, self.channels)
        if isinstance(self.blocks, _FileBlocks):
            blocks: Iterable[Tensor] = replace(self.blocks, stereo=stereo)
        else:
            blocks = (form(block, stereo) for block in self.blocks)
        return replace(self, blocks=blocks, channels=channels_of(stereo, self.channels))


@dataclass(frozen=True)
class _FileBlocks:
    """The blocks (C, n) of a file, from its start each time they are asked for."""

    path: str | Path
    size: int
    stereo: Stereo = "lr"

    def __len__(self) -> int:
        return -(-files.info(self.path).frames // self.size)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        for block in files.read_blocks(self.path, self.size):
            yield form(torch.from_numpy(block), self.stereo)


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
    clip_mode: files.ClipMode, bit_depth: str, stereo: Stereo, resume: bool,
    on_damage: OnDamage | None = None, on_note: OnNote | None = None, **options: Any,
) -> FrozenConfig | None:
    """Do what :meth:`Restorer.restore_file` says."""
    subtype = _subtype(bit_depth)
    check_paths(source, target, overwrite=overwrite, resume=resume)
    audio = Source.open(source).formed(stereo)
    job = restorer.job(
        audio.blocks, audio.sample_rate, task=task, samples=audio.frames,
        lookahead_s=LOOKAHEAD_S, **options,
    )
    if on_damage is not None:
        on_damage(job.damage)
    if str(target) == PIPE:
        with PipeWriter(sys.stdout.buffer, job.output_rate, audio.channels) as pipe:
            for block in job.run():
                pipe.write(restore_form(block, stereo, torch.float32))
        return job.damage
    is_kept = subtype == KEEP and stereo != "mono"
    if job.plan is None and is_kept and _is_same_format(audio, Path(target), job.output_rate):
        _copy(Path(source), Path(target))
        return job.damage
    writer = files.AudioWriter(
        target, job.output_rate, audio.channels, subtype=subtype, like=audio.info,
        overwrite=overwrite, clip_mode=clip_mode,
    )
    if resume or (audio.info is not None and audio.info.duration_s > PART_FROM_S):
        _write_in_parts(restorer.model, audio, job, Path(target), writer, resume, stereo)
    else:
        with writer:
            for block in job.run():
                writer.write(restore_form(block, stereo, torch.float32))
    if on_note is not None and writer.clip_note is not None:
        on_note(writer.clip_note)
    return job.damage


def _subtype(bit_depth: str) -> str:
    """Return libsndfile's name of a depth.

    Raises:
        AudioError: it is unknown.
    """
    if bit_depth != KEEP and bit_depth not in DEPTHS:
        known = ", ".join((KEEP, *DEPTHS))
        raise AudioError(f"unknown bit depth `{bit_depth}`; use one of {known}")
    return DEPTHS.get(bit_depth, KEEP)


def _write_in_parts(
    model: Model, audio: Source, job: Job, target: Path, writer: files.AudioWriter, resume: bool,
    stereo: Stereo,
) -> None:
    """Keep what is finished until all is, so that another run can continue."""
    origin = {"source": _identity(Path(audio.name)), "model": _digest(model), "stereo": stereo}
    settings = origin | job.settings()
    part = Part(target, audio.channels, settings, resume)
    with part:
        for block in job.run(part.samples):
            part.write(restore_form(block, stereo, torch.float32))
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
        digest.update(f"{name} {tuple(value.shape)} {float(value.cpu().double().sum())!r}".encode())
    return digest.hexdigest()[:16]


def _is_same_format(audio: Source, target: Path, output_rate: int) -> bool:
    if audio.info is None or audio.sample_rate != output_rate:
        return False
    return Path(audio.name).suffix.lower() == target.suffix.lower()


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that the target is never there half.

    Raises:
        AudioError: it can not be written.
    """
    try:
        handle, partial = tempfile.mkstemp(prefix=".a2sb-", dir=target.parent)
        os.close(handle)
        try:
            shutil.copyfile(source, partial)
            shutil.copymode(source, partial)
            put_in_place(partial, target)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise AudioError(f"{target} can not be written: {error.strerror or error}") from error
