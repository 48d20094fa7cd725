"""Recordings that arrive at a pipe one after another, as libsndfile reads each to its end."""

from __future__ import annotations

import os
import queue
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from a2sb_core.audio.headers import UNKNOWN_SIZE

COPIED_BYTES = 1 << 16


def pipe_links(descriptor: int) -> Iterator[int]:
    """Yield file descriptors of the recordings that arrive at a pipe, which the caller closes.

    Each link of a chained Ogg is a recording; everything else is one. A WAV whose header declares
    no samples declares an unknown length here. Bytes are passed on as they arrive.
    """
    # From a file, libsndfile reads more formats than from a pipe, but stops at the length that it
    # estimates for an MP3.
    if stat.S_ISREG(os.fstat(descriptor).st_mode) and not _is_ogg_or_mp3(descriptor):
        yield os.dup(descriptor)
        return
    arrived = queue.Queue[int | None]()
    threading.Thread(target=_pass_on, args=(descriptor, arrived), daemon=True).start()
    while (link := arrived.get()) is not None:
        yield link


def _is_ogg_or_mp3(descriptor: int) -> bool:
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    head = os.read(descriptor, 4)
    os.lseek(descriptor, place, os.SEEK_SET)
    return head == b"OggS" or head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


def _pass_on(descriptor: int, arrived: queue.Queue[int | None]) -> None:
    """Copy what arrives into pipes, and announce each pipe."""

    def open_link() -> BinaryIO:
        end, start = os.pipe()
        arrived.put(end)
        return os.fdopen(start, "wb")

    try:
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            head = source.peek(4)[:4]
            if head == b"OggS":
                _pass_ogg(source, open_link)
                return
            with open_link() as link:
                if head == b"RIFF":
                    _pass_wav_header(source, link)
                _pass_rest(source, link)
    except OSError:  # one of the ends was closed
        pass
    finally:
        arrived.put(None)


def _pass_ogg(source: BinaryIO, open_link: Callable[[], BinaryIO]) -> None:
    link, is_in_header = open_link(), True
    try:
        while (head := source.read(27))[:4] == b"OggS" and len(head) == 27:
            is_first_page = bool(head[5] & 2)
            if is_first_page and not is_in_header:
                link.close()
                link = open_link()
            is_in_header = is_first_page
            table = source.read(head[26])
            link.write(head + table + source.read(sum(table)))
            link.flush()
        link.write(head)
        _pass_rest(source, link)
    finally:
        link.close()


def _pass_wav_header(source: BinaryIO, link: BinaryIO) -> None:
    link.write(source.read(12))
    while len(head := source.read(8)) == 8 and head[:4] != b"data":
        size = struct.unpack("<I", head[4:])[0]
        link.write(head)
        for start in range(0, size + size % 2, COPIED_BYTES):
            link.write(source.read(min(COPIED_BYTES, size + size % 2 - start)))
    link.write(head[:4] + UNKNOWN_SIZE if head[4:] == bytes(4) else head)


def _pass_rest(source: BinaryIO, link: BinaryIO) -> None:
    while data := source.read1(COPIED_BYTES):  # type: ignore[attr-defined]
        link.write(data)
        link.flush()
