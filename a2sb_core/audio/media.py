"""Audio files that libsndfile does not read (m4a, video and others), read with PyAV."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.formats import TAGS, AudioInfo, check_header
from a2sb_core.audio.headers import asf_duration_s
from a2sb_core.errors import AudioError

# Suffixes that folders and patterns are searched for besides the formats that can be written. Video
# files are read only if they are named.
AUDIO_SUFFIXES = (".m4a", ".m4b", ".aac", ".wma", ".mka", ".ac3", ".wv", ".ape")
# Bit depths of the codecs of integer samples; ALAC and FLAC declare their bits.
INTEGER_CODECS = {
    "pcm_u8": "PCM_U8", "pcm_s16": "PCM_16", "pcm_s24": "PCM_24", "pcm_s32": "PCM_32",
}  # fmt: skip
LOSSLESS_CODECS = ("alac", "flac", "wavpack", "ape", "tta")
# Codecs pad their last frame; the container declares where the music ends.
PADDING_FRAMES = 1 << 13
# Containers round the declared length, so up to this many seconds may be missing.
CUT_S = 0.1
ROUNDING_S = 0.001
# Streams without a container, whose length FFmpeg only estimates.
BARE_STREAMS = ("AAC", "AC3", "EAC3", "DTS", "MP3")
TAG_NAMES = {"track": "tracknumber"}


def is_installed() -> bool:
    """Return whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def media_info(path: Path) -> AudioInfo | None:
    """Return the properties of a file; None if PyAV finds no audio in it.

    The whole file is decoded once, because headers do not declare the exact number of samples.

    Raises:
        AudioError: the file is truncated, or contains no samples.
    """
    if (found := _declared(path)) is None:
        return None
    about, promised = found
    check_header(str(path), about.sample_rate, about.channels)
    rate = about.sample_rate
    status = path.stat()
    enough = promised - round(ROUNDING_S * rate) if promised else None
    frames = _count(path, status.st_mtime_ns, status.st_size, enough)
    if promised - frames > CUT_S * rate:
        raise _truncated(path, frames / rate, f"its header declares {promised / rate:.3f} s")
    if 0 < frames - promised < PADDING_FRAMES:
        frames = promised or frames
    if not frames:
        raise AudioError(f"{path} contains a header but no samples; there is nothing to restore")
    return replace(about, frames=frames)


def _declared(path: Path) -> tuple[AudioInfo, int] | None:
    """Return what the header of a file declares, and the number of samples that it promises.

    The number is 0 if it is unknown. The result is None if there is no audio.
    """
    import av

    try:
        with av.open(os.fspath(path), metadata_errors="replace") as container:
            if not container.streams.audio:
                return None
            stream = container.streams.best("audio")
            context = stream.codec_context
            rate, channels = context.sample_rate, context.channels
            kind = container.format.name.split(",")[0].upper()
            duration_s = (stream.duration or 0) * (stream.time_base or 0)
            promised = round(rate * (asf_duration_s(path) if kind == "ASF" else duration_s))
            texts = container.metadata | stream.metadata
            texts = {TAG_NAMES.get(name.lower(), name.lower()): v for name, v in texts.items()}
            tags = {name: texts[name] for name in TAGS if texts.get(name)}
            about = AudioInfo(path, rate, channels, 0, _subtype(context), kind, tags)
    except Exception:  # PyAV raises exceptions of many kinds for damaged headers
        return None
    if not rate or not channels:
        return None
    return about, 0 if kind in BARE_STREAMS else promised


def media_blocks(about: AudioInfo, frames: int) -> Iterator[FloatArray]:
    """Yield float32 blocks (channels, `frames`) of a file; the last one may be shorter."""
    waiting, ready, left = list[FloatArray](), 0, about.frames
    for piece in _decoded(about.path):
        waiting.append(piece[:, :left])
        ready += waiting[-1].shape[1]
        left -= waiting[-1].shape[1]
        if ready >= frames:
            joined, stop = np.concatenate(waiting, axis=1), ready - ready % frames
            for start in range(0, stop, frames):
                yield np.ascontiguousarray(joined[:, start : start + frames])
            waiting, ready = [joined[:, stop:]], ready - stop
        if not left:
            break
    if ready:
        yield np.concatenate(waiting, axis=1)


@lru_cache(maxsize=1024)
def _count(path: Path, modified_ns: int, size: int, enough: int | None) -> int:
    """Count the samples of a file; the other arguments identify its state for the cache.

    What cannot be decoded after ``enough`` samples does not belong to the music.
    """
    frames = 0
    try:
        for piece in _decoded(path):
            frames += piece.shape[1]
    except AudioError:
        if enough is None or frames < enough:
            raise
    return frames


def _decoded(path: Path) -> Iterator[FloatArray]:
    """Yield the samples of a file as float32 blocks (channels, n)."""
    import av

    done, rate = 0, 1
    try:
        with av.open(os.fspath(path), metadata_errors="replace") as container:
            stream = container.streams.best("audio")
            context = stream.codec_context
            rate = context.sample_rate
            # Interleaved samples, since PyAV reads beyond the memory of more than eight planes.
            convert = av.AudioResampler(format="flt", layout=context.layout, rate=rate)
            for frame in itertools.chain(container.decode(stream), [None]):
                for piece in convert.resample(frame):
                    done += piece.samples
                    yield piece.to_ndarray().reshape(piece.samples, -1).T
    except Exception as error:  # PyAV raises exceptions of many kinds for damaged data
        raise _truncated(path, done / rate, str(error)) from error


def _truncated(path: Path, readable_s: float, why: str) -> AudioError:
    return AudioError(
        f"{path} is truncated or damaged: only {readable_s:.3f} s can be read ({why}); get a "
        "complete copy of the file, or cut it there with an audio editor"
    )


def _subtype(context: Any) -> str:
    """Return the name of libsndfile for a bit depth or codec."""
    name = context.name
    if name in LOSSLESS_CODECS:
        # Formats of 24 bits are decoded to 32 bits; the sample format identifies 16 bits.
        return "PCM_16" if context.format.name.startswith("s16") else "PCM_24"
    for codec, depth in INTEGER_CODECS.items():
        if name.startswith(codec):
            return depth
    return str(name).upper()
