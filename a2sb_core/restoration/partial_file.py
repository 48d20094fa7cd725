"""Partial files: the finished part of a long restoration, in the folder of its target."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import torch
from filelock import lock_descriptor
from torch import Tensor

from a2sb_core.audio import file_names as names
from a2sb_core.errors import AudioError

HEADER_BYTES = 1 << 14
READ_FRAMES = 1 << 16


class PartialFile:
    """A hidden file with the restored samples so far, which a later run can continue.

    The file contains the settings of the run, padded to ``HEADER_BYTES``, and then interleaved
    samples. They remain when the run is interrupted. Within the context of this object, the file is
    locked.

    Args:
        target: the file that the run writes.
        channels: number of channels of the result.
        settings: everything that the result depends on, as JSON values.
        resume: whether an existing partial file is continued.
        is_double: whether samples are stored in double precision.

    Attributes:
        path: path of the partial file.
        samples: number of finished samples per channel.

    Raises:
        AudioError: a partial file exists, and ``resume`` is not set or the settings differ.
    """

    def __init__(
        self,
        target: Path,
        channels: int,
        settings: dict[str, Any],
        resume: bool,
        is_double: bool = False,
    ) -> None:
        self.path = partial_path(target)
        self.channels, self.samples = channels, 0
        self._dtype = np.dtype("<f8" if is_double else "<f4")
        self._settings = json.loads(json.dumps(settings, default=str))
        if is_double:
            self._settings["precision_of_samples"] = "double"
        self._file: BinaryIO | None = None
        refuse_partial_file(target, resume)
        if self.path.exists():
            self._check_settings()
            self.samples = self._finished()

    def _finished(self) -> int:
        """Return the number of samples per channel that the file holds."""
        finished = max(0, self.path.stat().st_size - HEADER_BYTES)
        return finished // (self._dtype.itemsize * self.channels)

    def _check_settings(self) -> None:
        try:
            with self.path.open("rb") as file:
                earlier = json.loads(file.read(HEADER_BYTES))
        except ValueError:
            earlier = {}
        except OSError as error:  # on Windows, also while another run has locked it
            detail = error.strerror or error
            raise AudioError(
                f"{self.path} cannot be read ({detail}); another run may be writing to it"
            ) from error
        other = sorted(
            name
            for name in {*earlier, *self._settings}
            if earlier.get(name) != self._settings.get(name)
        )
        if other:
            raise AudioError(
                f"{self.path} was made with other settings ({', '.join(other)}), so it cannot be "
                "continued; repeat the settings of that run, or remove the file"
            )

    def __enter__(self) -> Self:
        header = json.dumps(self._settings).encode().ljust(HEADER_BYTES)
        if len(header) > HEADER_BYTES:
            raise AudioError(f"the settings do not fit into the header of {self.path}")
        try:
            # An existing file is not truncated before it is locked.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)
            if not self._lock() or self.samples != self._finished():
                self._file.close()
                raise AudioError(
                    f"another run is writing to {self.path}: wait until it ends, or choose another "
                    "output"
                )
            size = self._dtype.itemsize * self.channels * self.samples
            self._file.truncate(HEADER_BYTES + size if self.samples else 0)
        except OSError as error:
            raise AudioError(f"{self.path} cannot be opened: {error.strerror or error}") from error
        self._file.seek(0, os.SEEK_END)
        if not self.samples:
            self._put(header)
        return self

    def _lock(self) -> bool:
        """Lock the file; return whether no other run has locked it."""
        assert self._file is not None
        try:
            return lock_descriptor(self._file.fileno(), blocking=False)
        except OSError:  # the file system has no locks
            return True

    def write(self, block: Tensor) -> None:
        """Append samples (channels, n)."""
        self._put(np.ascontiguousarray(block.numpy().T, dtype=self._dtype).tobytes())
        self.samples += block.shape[-1]

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            detail = error.strerror or error
            raise AudioError(f"{self.path} cannot be written: {detail}") from error

    def blocks(self) -> Iterator[Tensor]:
        """Yield the finished samples (channels, n) from the start."""
        with self.path.open("rb") as file:
            file.seek(HEADER_BYTES)
            while (flat := np.fromfile(file, self._dtype, READ_FRAMES * self.channels)).size:
                yield torch.from_numpy(np.ascontiguousarray(flat.reshape(-1, self.channels).T))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()
        if error is None:
            return
        if not self.samples:
            self.path.unlink(missing_ok=True)  # nothing to continue
            return
        error.add_note(
            f"the finished part is kept in {self.path}: continue with --resume (resume=True)"
        )

    def remove(self) -> None:
        """Delete the file, and end its use."""
        if self._file is not None:
            self._file.close()
        self.samples = 0
        self.path.unlink(missing_ok=True)


def partial_path(target: Path) -> Path:
    """Return the path of the partial file of a target; a name that is too long is shortened."""
    name = f".{target.name}.part"
    if names.fault(name):
        digest = hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()
        name = f".a2sb-{digest[:32]}.part"
    return target.with_name(name)


def refuse_partial_file(target: Path, resume: bool) -> None:
    """Check that no partial file of ``target`` would be lost.

    Raises:
        AudioError: a partial file exists, and ``resume`` is not set.
    """
    path = partial_path(target)
    if path.exists() and not resume:
        raise AudioError(
            f"{path} contains the finished part of an earlier run; continue it with --resume "
            "(resume=True), or remove the file"
        )
