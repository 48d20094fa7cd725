"""The finished part of a long restoration, kept beside its target until all is done."""

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
from torch import Tensor

from a2sb_core.audio import names
from a2sb_core.errors import AudioError

HEADER_BYTES = 1 << 14
READ_FRAMES = 1 << 16


class Part:
    """Restored samples as they come, in a hidden file that a later run continues.

    The file holds the settings it was made with, padded to ``HEADER_BYTES``, then samples as
    float32, interleaved. What was written stays whatever ends the run.

    Args:
        target: the file that is to be made.
        channels: of the result.
        settings: all that the result depends on, as JSON holds it.
        resume: continue a part that is there.

    Attributes:
        path: of the part.
        samples: finished so far.

    Raises:
        AudioError: a part is there and is not to be continued, or was made with other settings.
    """

    def __init__(
        self, target: Path, channels: int, settings: dict[str, Any], resume: bool
    ) -> None:
        self.path = part_path(target)
        self.channels, self.samples = channels, 0
        self._settings = json.loads(json.dumps(settings, default=str))
        self._file: BinaryIO | None = None
        refuse_part(target, resume)
        if self.path.exists():
            self._check_settings()
            finished = self.path.stat().st_size - HEADER_BYTES
            self.samples = max(0, finished) // (4 * channels)

    def _check_settings(self) -> None:
        with self.path.open("rb") as file:
            try:
                found = json.loads(file.read(HEADER_BYTES))
            except ValueError:
                found = {}
        other = sorted(
            name for name in {*found, *self._settings}
            if found.get(name) != self._settings.get(name)
        )
        if other:
            raise AudioError(
                f"{self.path} was made with other settings ({', '.join(other)}), so it can not be "
                "continued; repeat the settings of that run, or remove it"
            )

    def __enter__(self) -> Self:
        header = json.dumps(self._settings).encode().ljust(HEADER_BYTES)
        if len(header) > HEADER_BYTES:
            raise AudioError(f"the settings do not fit into the header of {self.path}")
        if self.samples:
            self._file = self.path.open("r+b", buffering=0)
            self._file.truncate(HEADER_BYTES + 4 * self.channels * self.samples)
            self._file.seek(0, os.SEEK_END)
        else:
            self._file = self.path.open("wb", buffering=0)
            self._put(header)
        return self

    def write(self, block: Tensor) -> None:
        """Append samples (channels, n)."""
        self._put(np.ascontiguousarray(block.numpy().T, dtype="<f4").tobytes())
        self.samples += block.shape[-1]

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            detail = error.strerror or error
            raise AudioError(f"{self.path} can not be written: {detail}") from error

    def blocks(self) -> Iterator[Tensor]:
        """Yield what is finished, from its start."""
        with self.path.open("rb") as file:
            file.seek(HEADER_BYTES)
            while (flat := np.fromfile(file, "<f4", READ_FRAMES * self.channels)).size:
                yield torch.from_numpy(np.ascontiguousarray(flat.reshape(-1, self.channels).T))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()
        if error is not None and self.samples:
            error.add_note(
                f"the finished part is kept in {self.path}: continue with --resume (resume=True)"
            )

    def remove(self) -> None:
        """Delete the file: its content is elsewhere."""
        self.path.unlink(missing_ok=True)


def part_path(target: Path) -> Path:
    """Return where the part of a target is kept; a name that would be too long is shortened."""
    name = f".{target.name}.part"
    if names.fault(name):
        digest = hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()
        name = f".a2sb-{digest[:32]}.part"
    return target.with_name(name)


def refuse_part(target: Path, resume: bool) -> None:
    """Raise if a part of ``target`` is there and is not to be continued.

    Raises:
        AudioError: it would be lost.
    """
    path = part_path(target)
    if path.exists() and not resume:
        raise AudioError(
            f"{path} holds the finished part of an earlier run; continue it with --resume "
            "(resume=True), or remove it"
        )
