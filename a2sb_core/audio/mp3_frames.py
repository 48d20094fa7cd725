"""Frames of MP3 files, whose length libsndfile otherwise takes from the first of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from a2sb_core.audio.pieces import Piece
from a2sb_core.errors import AudioError

# Bit rates of layer III in kbit/s by their index: of MPEG 1, and of MPEG 2 and 2.5.
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
SAMPLE_RATES = (44100, 48000, 32000)
# The first bytes of a frame of layer III.
SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xeb]")
# Frames that must follow each other before a place is believed to be the start of audio.
PROOF_FRAMES = 3
# Bytes that are searched at once for the next frame, and places that are tried.
WINDOW_BYTES, MOST_TRIALS = 1 << 16, 1 << 16
# Tags that are skipped before the first frame.
MOST_TAGS = 100
# First bytes of tags, which may follow the last frame.
TAG_MARKS = (b"ID3", b"TAG", b"APE", b"LYR")
# Decoders skip these samples besides the delay that the first frame declares.
DECODER_DELAY = 529


class Frame(NamedTuple):
    """The header of a frame.

    Attributes:
        head: the four bytes of the header.
        size: bytes of the frame with its header.
        samples: number of samples per channel.
        side: bytes between the header and the audio.
        kind: sample rate in Hz and number of channels, which a recording does not change.
    """

    head: bytes
    size: int
    samples: int
    side: int
    kind: tuple[int, int]


class FrameRun(NamedTuple):
    """Frames that follow each other: their first byte, their end, their number, the first one."""

    start: int
    stop: int
    frames: int
    first: Frame


def complete_mp3(path: Path) -> list[Piece] | None:
    """Return pieces that declare and contain all frames of an MP3.

    libsndfile reads as many frames as the first one declares, though concatenated files have more,
    and estimates the number if that frame declares none. In such cases, the pieces begin with a
    frame that declares the true number, and leave out what is no frame, such as tags.

    Returns:
        The pieces; the whole file as one piece if libsndfile reads all of it; None if the file is
        no MP3 or its frames cannot be counted.

    Raises:
        AudioError: the sample rate or the number of channels changes.
    """
    status = path.stat()
    return _complete(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _complete(path: Path, modified_ns: int, size: int) -> list[Piece] | None:
    """See `complete_mp3`; the other arguments identify the state of the file for the cache."""
    with path.open("rb", WINDOW_BYTES) as file:
        runs = list(_runs(path, file))
        if not runs:
            return None
        start, first = runs[0].start, runs[0].first
        declared = _declared(first, _at(file, start, first.size))
    frames, delay = sum(run.frames for run in runs), 0
    if declared is not None:  # the first frame contains no audio
        frames, delay, start = frames - 1, declared[1], start + first.size
        if declared[0] >= frames:
            return [(0, size)]
    rest = [(run.start, run.stop) for run in runs[1:]]
    return [_opening(first, frames, delay), (start, runs[0].stop), *rest]


def _runs(path: Path, file: BinaryIO) -> Iterator[FrameRun]:
    place, kind = 0, None
    while (found := _next_frame(file, place)) is not None:
        start, first = found
        if kind not in (None, first.kind):
            raise AudioError(
                f"{path} consists of parts with different sample rates or channels; split it first"
            )
        kind, place, frames = first.kind, start, 0
        while (frame := _frame_at(file, place)) and frame.kind == kind:
            if len(_at(file, place + frame.size - 1, 1)) < 1:
                break  # the last frame is incomplete
            place += frame.size
            frames += 1
        if not frames:
            return
        yield FrameRun(start, place, frames, first)


def _next_frame(file: BinaryIO, place: int) -> tuple[int, Frame] | None:
    """Return the place and the header of the next frame that others follow."""
    trials = 0
    while trials < MOST_TRIALS:
        place = _after_id3(file, place)
        window = _at(file, place, WINDOW_BYTES)
        for match in SYNC.finditer(window):
            trials += 1
            start = place + match.start()
            if (frame := _frame_at(file, start)) and _is_proven(file, start, frame):
                return start, frame
        if len(window) < WINDOW_BYTES:
            return None
        place += len(window) - 3
    return None


def _is_proven(file: BinaryIO, place: int, first: Frame) -> bool:
    """Return whether frames of one kind follow each other, or end with the file or at a tag."""
    for k in range(PROOF_FRAMES):
        frame = _frame_at(file, place)
        if frame is None or frame.kind != first.kind:
            is_end = len(_at(file, place - 1, 2)) == 1
            return k > 0 and (is_end or _at(file, place, 3) in TAG_MARKS)
        place += frame.size
    return True


def _after_id3(file: BinaryIO, place: int) -> int:
    for _ in range(MOST_TAGS):
        head = _at(file, place, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        shifts = zip(head[6:], (21, 14, 7, 0), strict=True)
        place += 10 + sum((byte & 127) << shift for byte, shift in shifts)
    return place


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _frame_at(file: BinaryIO, place: int) -> Frame | None:
    return _parsed(_at(file, place, 4))


def _parsed(head: bytes) -> Frame | None:
    if len(head) < 4 or not SYNC.match(head):
        return None
    version, rate, index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if rate == 3:
        return None
    is_first, channels = version == 3, 1 if head[3] >> 6 == 3 else 2
    sample_rate = SAMPLE_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if is_first else 576
    bit_rate = 1000 * BIT_RATES[0 if is_first else 1][index]
    size = samples // 8 * bit_rate // sample_rate + (head[2] >> 1 & 1)
    side = (9, 17, 32)[is_first + channels - 1]
    return Frame(head, size, samples, side, (sample_rate, channels))


def _declared(frame: Frame, content: bytes) -> tuple[int, int] | None:
    """Return the number of frames and the delay that a frame without audio declares.

    The number is 0 if it declares none, or in a way that not all decoders know; the result is None
    if the frame contains audio.
    """
    if content[36:40] == b"VBRI":
        return 0, 0
    content = content[4 + frame.side :]
    if content[:4] not in (b"Xing", b"Info") or len(content) < 12:
        return None
    flags, frames = struct.unpack(">II", content[4:12])
    sizes = zip((1, 2, 4, 8), (4, 4, 100, 4), strict=True)
    place = 8 + sum(size for bit, size in sizes if flags & bit) + 21
    delay = int.from_bytes(content[place : place + 3].ljust(3, b"\0"), "big") >> 12
    return frames if flags & 1 else 0, delay


def _opening(like: Frame, frames: int, delay: int) -> bytes:
    """Return a frame that declares a number of frames and a delay in samples.

    Decoders skip `DECODER_DELAY` even if the delay is 0; in this case, a silent frame is what they
    skip.
    """
    silent = b""
    if not delay:
        silent, frames, delay = _blank(like, 1), frames + 1, like.samples - DECODER_DELAY
    content = _blank(like, 14)
    mark = b"Info" + struct.pack(">II", 1, frames) + b"LAME" + bytes(17)  # the name is required
    mark += (delay << 12).to_bytes(3, "big")
    start = 4 + like.side
    return content[:start] + mark + content[start + len(mark) :] + silent


def _blank(like: Frame, index: int) -> bytes:
    """Return a silent frame with the bit rate of an index."""
    head = bytes((0xFF, like.head[1] | 1, index << 4 | like.head[2] & 0x0C, like.head[3]))
    frame = _parsed(head)
    assert frame is not None
    return head + bytes(frame.size - len(head))
