"""Chained Ogg files, whose links libsndfile opens one at a time."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from a2sb_core.audio.formats import ForwardFile
from a2sb_core.audio.headers import ogg_links
from a2sb_core.audio.pieces import PiecewiseFile
from a2sb_core.errors import AudioError


class ChainedOgg:
    """The links of a chained Ogg file, read from front to back as one recording.

    Args:
        path: path of the file.

    Attributes:
        frames: number of samples per channel of all links.

    Raises:
        AudioError: a link cannot be read, or they differ in sample rate or in channels.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        self._path, self._links = path, list(_links(path, status.st_mtime_ns, status.st_size))
        self._file: Any = None
        self.frames, kinds = 0, set()
        for link in self._links:
            try:
                with _open(path, link) as file:
                    self.frames += int(file.frames)
                    kinds.add((file.samplerate, file.channels))
            except soundfile.SoundFileError as error:
                raise AudioError(
                    f"{path} is damaged: one of its {len(self._links)} parts cannot be read"
                ) from error
        if len(kinds) > 1:
            raise AudioError(
                f"{path} consists of parts with different sample rates or channels; split it first"
            )

    def read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray[Any, Any]:
        """Return the next samples (n, channels); fewer than ``frames`` only at the end."""
        blocks, missing = [], frames
        while missing and (self._file or self._links):
            self._file = self._file or _open(self._path, self._links.pop(0))
            block = self._file.read(missing, dtype=dtype, always_2d=always_2d)
            blocks.append(block)
            missing -= len(block)
            if not len(block):
                self._file.close()
                self._file = None
        return np.concatenate(blocks) if blocks else np.zeros((0, 1), dtype)


def is_chained(path: Path) -> bool:
    """Return whether an Ogg file has several links."""
    status = path.stat()
    return len(_links(path, status.st_mtime_ns, status.st_size)) > 1


@lru_cache(maxsize=256)
def _links(path: Path, modified_ns: int, size: int) -> list[tuple[int, int]]:
    """Return the links of a file; the other arguments identify its state for the cache."""
    return ogg_links(path)


def _open(path: Path, link: tuple[int, int]) -> ForwardFile:
    return ForwardFile(PiecewiseFile(path, [link]))
