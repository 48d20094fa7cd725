"""Output of a restoration, from a file or pipe to a file or pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from a2sb_core.audio import files
from a2sb_core.audio.formats import KEEP, AudioInfo, check_format
from a2sb_core.audio.pipes import PipeWriter
from a2sb_core.audio.reading import EXACT_SUBTYPES
from a2sb_core.common.files import atomic_write, remove_orphans
from a2sb_core.errors import AudioError
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.partial_file import PartialFile, refuse_partial_file
from a2sb_core.restoration.preparing import Restoration
from a2sb_core.restoration.sources import PIPE, AudioSource

RESUMABLE_FROM_S = 300.0  # the finished part of longer recordings is kept

Prepare = Callable[[AudioSource], Restoration]


def check_paths(source: str | Path, target: str | Path, write: WriteOptions | None = None) -> None:
    """Check a source and a target before any work is done.

    Raises:
        AudioError: one of them cannot be used; the message states the reason.
    """
    write = write or WriteOptions()
    if str(target) != PIPE:
        _sweep(Path(target).parent)
        own = None if str(source) == PIPE else source
        files.check_target(target, overwrite=write.overwrite, source=own)
        refuse_partial_file(Path(target), write.resume)
    if str(source) != PIPE:
        files.info(source)
    if write.resume and PIPE in (str(source), str(target)):
        raise AudioError("a pipe cannot be continued: leave out --resume (resume=True)")


def possible_rates(
    rates: Iterable[int], options: RestoreOptions, model_rate: int
) -> tuple[int, ...]:
    """Return the rates in Hz that the result of a recording with one of ``rates`` may have."""
    if options.output_rate is not None:
        return (options.output_rate,)
    return tuple(dict.fromkeys(one for rate in rates for one in (rate, max(rate, model_rate))))


def check_result(
    target: str | Path,
    write: WriteOptions | None,
    like: AudioInfo | None,
    channels: int,
    rates: Iterable[int],
) -> None:
    """Check that the format of a target can hold the result at one of the sample rates at least.

    Args:
        target: file to write, or ``-`` for stdout.
        write: options of the output file.
        like: the input, whose bit depth may be kept.
        channels: number of channels of the result.
        rates: sample rates that the result may have, in Hz.

    Raises:
        AudioError: it cannot; the message states the reason for the first rate.
    """
    if str(target) == PIPE:
        return
    errors, subtype = [], (write or WriteOptions()).subtype
    for rate in rates:
        try:
            check_format(Path(target), rate, channels, subtype, like)
        except AudioError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


@lru_cache(maxsize=256)
def _sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder, once in a process."""
    remove_orphans(folder)


def write_restored(
    prepare: Prepare,
    source: str | Path,
    target: str | Path,
    write: WriteOptions,
    listener: Listener | None = None,
) -> Restoration:
    """Restore a source to a target, as :meth:`Restorer.restore_file` describes.

    Returns:
        The restoration that ``prepare`` returned, which is done.
    """
    listener = listener or Listener()
    check_paths(source, target, write)
    unchanged = _Unchanged(source)
    audio = AudioSource.open(source)
    restoration = prepare(audio)
    restoration.tell(listener)
    if str(target) == PIPE:
        _write_to_pipe(restoration, listener)
        unchanged.check()
    elif _is_copy(audio, Path(target), restoration, write):
        _copy(Path(source), Path(target), unchanged)
    else:
        _write_file(audio, restoration, target, write, listener, unchanged)
    return restoration


def _write_to_pipe(restoration: Restoration, listener: Listener) -> None:
    channels = restoration.recording.channels
    with PipeWriter(sys.stdout.buffer, restoration.output_rate, channels) as pipe:
        for block in restoration.run(listener=listener):
            pipe.write(block.float())


def _write_file(
    audio: AudioSource,
    restoration: Restoration,
    target: str | Path,
    write: WriteOptions,
    listener: Listener,
    unchanged: _Unchanged,
) -> None:
    writer = files.AudioWriter(
        target,
        restoration.output_rate,
        restoration.recording.channels,
        subtype=write.subtype,
        like=audio.info,
        overwrite=write.overwrite,
        clip_mode=write.clip_mode,
    )
    is_long = audio.info is not None and audio.info.duration_s > RESUMABLE_FROM_S
    if write.resume or is_long:
        _write_in_parts(audio, restoration, writer, write.resume, listener, unchanged)
    else:
        with writer:
            for block in restoration.run(listener=listener):
                writer.write(block)
            unchanged.check()
    for note in (writer.clip_note, *writer.tag_notes):
        if note is not None:
            listener.on_note(note)


def _write_in_parts(
    audio: AudioSource,
    restoration: Restoration,
    writer: files.AudioWriter,
    resume: bool,
    listener: Listener,
    unchanged: _Unchanged,
) -> None:
    """Write to a partial file first, from which another run can continue."""
    settings = {"source": _identity(Path(audio.name)), **restoration.settings()}
    is_double = audio.info is not None and audio.info.subtype in EXACT_SUBTYPES
    partial = PartialFile(Path(writer.path), writer.channels, settings, resume, is_double)
    with partial:
        for block in restoration.run(partial.samples, listener):
            partial.write(block)
        try:
            unchanged.check()
        except AudioError:
            partial.remove()  # it mixes two recordings
            raise
        with writer:
            for block in partial.blocks():
                writer.write(block)
        partial.remove()


class _Unchanged:
    """Checks that a file does not change from now on until it is read."""

    def __init__(self, source: str | Path) -> None:
        is_file = str(source) != PIPE and Path(source).is_file()
        self.path = Path(source) if is_file else None
        self.before = None if self.path is None else _identity(self.path)

    def check(self) -> None:
        """Compare the present size and time of modification with the earlier ones.

        Raises:
            AudioError: they differ, or the file is gone.
        """
        if self.path is None:
            return
        try:
            if _identity(self.path) == self.before:
                return
        except OSError:
            pass
        raise AudioError(
            f"{self.path} changed while it was read, so the result would mix two recordings; "
            "restore it again when it is complete"
        )


def _identity(path: Path) -> dict[str, Any]:
    """Return values that change whenever a file changes."""
    status = path.stat()
    return {"name": path.name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _is_copy(
    audio: AudioSource, target: Path, restoration: Restoration, write: WriteOptions
) -> bool:
    """Return whether the result is a copy of the source, byte by byte."""
    if audio.info is None or not restoration.is_unchanged:
        return False
    is_kept = write.subtype == KEEP and audio.channels == restoration.recording.channels
    same_format = Path(audio.name).suffix.lower() == target.suffix.lower()
    return is_kept and same_format


def _copy(source: Path, target: Path, unchanged: _Unchanged) -> None:
    """Copy a file; the target appears only when it is complete.

    Raises:
        AudioError: the target cannot be written, or the source changed.
    """
    try:
        with atomic_write(target) as partial:
            shutil.copyfile(source, partial)
            shutil.copymode(source, partial)
            unchanged.check()
    except OSError as error:
        raise AudioError(f"{target} cannot be written: {error.strerror or error}") from error
