"""A file that is put together from parts of another file and from bytes between them."""

from __future__ import annotations

import io
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

Piece = bytes | tuple[int, int]
"""Bytes, or the first byte and the end of a part of the other file."""


class PiecewiseFile(io.RawIOBase):
    """Pieces that are read as one file.

    Args:
        path: path of the file that the pieces refer to.
        pieces: the pieces in their order.
    """

    def __init__(self, path: Path, pieces: list[Piece]) -> None:
        self._inner = path.open("rb")
        self._pieces = pieces
        lengths = (len(part) if isinstance(part, bytes) else part[1] - part[0] for part in pieces)
        self._starts = list(accumulate(lengths, initial=0))
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the present place in bytes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in bytes, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}
        self._place = max(0, base[whence] + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes, and return their number."""
        wanted, done = len(buffer), 0
        while done < wanted and self._place < self._starts[-1]:
            data = self._next(wanted - done)
            if not data:  # the other file was shortened meanwhile
                break
            buffer[done : done + len(data)] = data
            done += len(data)
            self._place += len(data)
        return done

    def _next(self, wanted: int) -> bytes:
        """Return at most ``wanted`` bytes of the piece at the present place."""
        k = bisect_right(self._starts, self._place) - 1
        part, offset = self._pieces[k], self._place - self._starts[k]
        if isinstance(part, bytes):
            return part[offset : offset + wanted]
        self._inner.seek(part[0] + offset)
        return self._inner.read(min(wanted, part[1] - part[0] - offset))

    def close(self) -> None:
        """Close the other file."""
        self._inner.close()
        super().close()
