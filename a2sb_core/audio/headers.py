"""Lengths that the headers of files declare, and whether they are true."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from a2sb_core.audio.pieces import Piece

# Programs that write to a pipe do not know the size. They declare 0, a number just below a power of
# two, or a large round number.
UNKNOWN_SIZES = (1 << 31, 1 << 32, 1 << 63, 1 << 64)
UNKNOWN_SLACK = 4096
UNKNOWN_SIZE = b"\xff" * 4
ROUND_UNITS, SMALLEST_ROUND, ROUND_SLACK = (10**6, 1 << 20), 10**9, 64
# Some writers include the header in the size of the data, so a few missing bytes are no error.
TOLERATED_BYTES = 128
# Chunks of WAV: cue points, loops, broadcast information, notes of editors.
PRODUCTION_CHUNKS = (b"cue ", b"smpl", b"bext", b"iXML")
MOST_CHUNKS = 1000
LARGEST_CHUNK = 1 << 24
# The object of an ASF file (WMA) with its duration, which is in the first bytes.
ASF_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
ASF_HEADER_BYTES = 1 << 20
# An Ogg page is at most 65,307 bytes.
OGG_TAIL_BYTES = 1 << 17


def missing_bytes(path: Path) -> int:
    """Return how many bytes of audio a WAV, RF64, W64 or AIFF file declares beyond its end.

    The result is 0 for every other format, and if the header declares no size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        found = _data_chunk(file)
    if found is None:
        return 0
    start, declared = found
    if is_placeholder(declared):
        return 0
    missing = start + declared - size
    return missing if missing > TOLERATED_BYTES else 0


def is_placeholder(size: int) -> bool:
    """Return whether a size in bytes is one that writers declare who do not know it."""
    if any(0 <= unknown - size <= UNKNOWN_SLACK for unknown in UNKNOWN_SIZES):
        return True
    is_round = any((size + ROUND_SLACK) % unit <= 2 * ROUND_SLACK for unit in ROUND_UNITS)
    return size >= SMALLEST_ROUND and is_round


def streamed_wav(path: Path) -> list[Piece] | None:
    """Return pieces of a WAV or RF64 file that declares no samples though they follow.

    The size of such a header was never filled in. The pieces declare an unknown size instead, and
    end with the file. The result is None for every other file.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return None
        found, size = _walk_riff(file, "<", b"data"), path.stat().st_size
        if found is None or found[1] or _is_chunks(file, found[0], size):
            return None
        file.seek(8)
        head = file.read(found[0] - 12)
    return [b"RIFF" + UNKNOWN_SIZE + head + UNKNOWN_SIZE, (found[0], size)]


def _is_chunks(file: BinaryIO, place: int, size: int) -> bool:
    """Return whether a file of a size consists of chunks from a place on, or ends there."""
    for _ in range(MOST_CHUNKS):
        if place >= size:
            break
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or not (head[:4].isascii() and head[:4].decode("ascii").isprintable()):
            break
        length = struct.unpack("<I", head[4:])[0]
        place += 8 + length + length % 2
    return size <= place <= size + 1


def _data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Return the position and the declared size, in bytes, of the chunk with the samples."""
    head = file.read(40)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _walk_riff(file, "<", b"data")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _walk_riff(file, ">", b"SSND")
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _walk_w64(file)
    return None


def _riff_chunks(file: BinaryIO, order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the position and the declared size, in bytes, of each chunk."""
    large, place, end = None, 12, _size(file)
    for _ in range(MOST_CHUNKS):
        if place >= end:  # a system may refuse to seek far beyond the end
            return
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"ds64" and len(body := file.read(16)) == 16:
            large = struct.unpack("<Q", body[8:])[0]
        if name == b"data" and large is not None:
            size = large
        yield name, place + 8, size
        place += 8 + size + size % 2


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _walk_riff(file: BinaryIO, order: str, wanted: bytes) -> tuple[int, int] | None:
    return next((found[1:] for found in _riff_chunks(file, order) if found[0] == wanted), None)


def production_chunks(path: Path) -> dict[str, bytes]:
    """Return the chunks with information on the production that a WAV file contains, by name.

    They describe the samples, such as loops and cue points, or their origin; no other format has
    them. A chunk that is incomplete or very large is empty.
    """
    found = {}
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return {}
        for name, place, size in _riff_chunks(file):
            if name in PRODUCTION_CHUNKS:
                file.seek(place)
                content = file.read(size) if size <= LARGEST_CHUNK else b""
                found[name.decode()] = content if len(content) == size else b""
    return found


def clear_time_stamp(path: Path) -> None:
    """Set the time stamp in a WAV or AIFF file to 0, so that the same samples are the same bytes.

    libsndfile writes one into the chunk with the peaks of floating-point samples.
    """
    orders = {b"RIFF": "<", b"RF64": "<", b"FORM": ">"}
    with path.open("r+b") as file:
        order = orders.get(file.read(4))
        found = order and _walk_riff(file, order, b"PEAK")
        if found:
            file.seek(found[0] + 4)  # after the version
            file.write(bytes(4))


def append_chunks(path: Path, chunks: Mapping[str, bytes]) -> None:
    """Append chunks to a complete WAV file.

    Raises:
        OSError: the file would exceed 4 GB, or cannot be written.
    """
    body = b"".join(
        name.encode() + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for name, content in chunks.items()
    )
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size + len(body) >= 1 << 32:
            raise OSError(f"{path} would exceed 4 GB")
        file.write(bytes(size % 2) + body)
        size = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", size - 8))


def _walk_w64(file: BinaryIO) -> tuple[int, int] | None:
    place, end = 40, _size(file)
    while place < end:
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
    return None


def asf_duration_s(path: Path) -> float:
    """Return the duration that a WMA file declares; 0 if it declares none.

    FFmpeg replaces it by an estimate if the header does not know the size of the file, which
    programs that write tags do not update.
    """
    with path.open("rb") as file:
        head = file.read(ASF_HEADER_BYTES)
    place = head.find(ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return 0.0
    played, _, preroll, flags = struct.unpack_from("<QQQI", head, place + 64)
    is_live = flags & 1
    return 0.0 if is_live else max(0.0, played / 1e7 - preroll / 1e3)


def ogg_is_cut(path: Path) -> bool:
    """Return whether an Ogg file ends in the middle of a page."""
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


def ogg_links(path: Path) -> list[tuple[int, int]]:
    """Return the first byte and the end of each link of a chained Ogg file.

    Concatenated files are one valid file, of which libsndfile reads only the first link.
    """
    starts, place, is_in_header = [0], 0, True
    with path.open("rb") as file:
        while True:
            file.seek(place)
            head = file.read(27)
            if len(head) < 27 or head[:4] != b"OggS":
                break
            is_first_page = bool(head[5] & 2)
            if is_first_page and not is_in_header:
                starts.append(place)
            is_in_header = is_first_page
            place += 27 + head[26] + sum(file.read(head[26]))
    return list(zip(starts, [*starts[1:], path.stat().st_size], strict=True))
