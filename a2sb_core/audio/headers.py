"""What a file's own header says of its length, where libsndfile quietly makes do with less."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

# Programs that write to a pipe can not know the size, and put a number near 2^31 or 2^32 there.
UNKNOWN_SIZES = (1 << 31, 1 << 32)
UNKNOWN_SLACK = 4096
# Some writers count the header among the data: so few missing bytes are no lost audio.
TOLERATED_BYTES = 128
# Where the length of an MP3 stands: in its first frame, right after the tags.
MP3_FIRST_FRAME_BYTES = 4096
MP3_LENGTH_MARKS = (b"Xing", b"Info", b"VBRI")
# An Ogg page is at most 65,307 bytes.
OGG_TAIL_BYTES = 1 << 17


def missing_bytes(path: Path) -> int:
    """Bytes of audio that the header of a WAV, RF64, W64 or AIFF file promises beyond its end.

    0 for every other kind of file, and where the header does not tell.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        found = _data_chunk(file)
    if found is None:
        return 0
    start, declared = found
    if any(0 <= unknown - declared <= UNKNOWN_SLACK for unknown in UNKNOWN_SIZES):
        return 0
    missing = start + declared - size
    return missing if missing > TOLERATED_BYTES else 0


def _data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Position and declared size, in bytes, of the chunk that holds the samples."""
    head = file.read(40)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _walk_riff(file, "<", b"data")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _walk_riff(file, ">", b"SSND")
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _walk_w64(file)
    return None


def _walk_riff(file: BinaryIO, order: str, wanted: bytes) -> tuple[int, int] | None:
    large = None
    place = 12
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return None
        name, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"ds64":
            body = file.read(16)
            large = struct.unpack("<Q", body[8:])[0] if len(body) == 16 else None
        if name == wanted:
            return place + 8, size if large is None else large
        place += 8 + size + size % 2


def _walk_w64(file: BinaryIO) -> tuple[int, int] | None:
    place = 40
    while True:
        file.seek(place)
        head = file.read(24)
        if len(head) < 24:
            return None
        size = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return place + 24, size - 24
        if size < 24:
            return None
        place += (size + 7) // 8 * 8


def ogg_is_cut(path: Path) -> bool:
    """Whether an Ogg file ends in the middle of a page."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - OGG_TAIL_BYTES))
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) < start + 27:
        return True
    segments = tail[start + 26]
    table = tail[start + 27 : start + 27 + segments]
    return len(table) < segments or start + 27 + segments + sum(table) > len(tail)


def mp3_tells_length(path: Path) -> bool:
    """Whether an MP3 file says how long it is; otherwise its length is only a guess."""
    with path.open("rb") as file:
        head = file.read(10)
        skip = 0
        if head[:3] == b"ID3" and len(head) == 10:
            bits = zip(head[6:], (21, 14, 7, 0), strict=True)
            skip = 10 + sum((byte & 127) << shift for byte, shift in bits)
        file.seek(skip)
        first = file.read(MP3_FIRST_FRAME_BYTES)
    return any(mark in first for mark in MP3_LENGTH_MARKS)
