"""Audio that libsndfile does not read (m4a, video files and more), through PyAV where installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.formats import TAGS, AudioInfo
from a2sb_core.errors import AudioError

# What a folder or pattern is searched for besides the formats that can be written. Video files are
# read where they are named.
AUDIO_SUFFIXES = (".m4a", ".m4b", ".aac", ".wma", ".mka", ".ac3", ".wv", ".ape", ".au", ".caf")
# Depths by the codecs that hold integers; ALAC and FLAC tell their bits.
INTEGER_CODECS = {
    "pcm_u8": "PCM_U8", "pcm_s16": "PCM_16", "pcm_s24": "PCM_24", "pcm_s32": "PCM_32",
}  # fmt: skip
LOSSLESS_CODECS = ("alac", "flac", "wavpack", "ape", "tta")
# Codecs fill their last frame up; the container tells where the music ends.
PADDING_FRAMES = 1 << 13
# So much may be missing by the rounding of containers.
CUT_S = 0.1
TAG_NAMES = {"track": "tracknumber"}


def is_installed() -> bool:
    """Whether PyAV is there."""
    return importlib.util.find_spec("av") is not None


def media_info(path: Path) -> AudioInfo | None:
    """Return what a file says of itself; None where it holds no audio that PyAV knows.

    All of it is decoded once, as no header tells the number of samples.

    Raises:
        AudioError: it breaks off, or holds no samples.
    """
    import av

    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.best("audio")
            texts = container.metadata | stream.metadata
            texts = {TAG_NAMES.get(name.lower(), name.lower()): v for name, v in texts.items()}
            rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
            subtype, kind = _subtype(stream.codec_context), container.format.name.split(",")[0]
            promised = round((stream.duration or 0) * (stream.time_base or 0) * (rate or 0))
    except (av.FFmpegError, OSError, ValueError):
        return None
    if not rate or not channels:
        return None
    status = path.stat()
    frames = _count(path, status.st_mtime_ns, status.st_size)
    if promised - frames > CUT_S * rate:
        raise _truncated(path, frames / rate, f"its header promises {promised / rate:.3f} s")
    if 0 < frames - promised < PADDING_FRAMES:
        frames = promised or frames
    if not frames:
        raise AudioError(f"{path} holds a header but no samples; there is nothing to restore")
    tags = {name: texts[name] for name in TAGS if texts.get(name)}
    return AudioInfo(path, rate, channels, frames, subtype, kind.upper(), tags)


def media_blocks(about: AudioInfo, frames: int) -> Iterator[FloatArray]:
    """Yield float32 blocks (channels, `frames`) of a file; the last may be shorter."""
    waiting = np.zeros((about.channels, 0), np.float32)
    left = about.frames
    for piece in _decoded(about.path):
        waiting = np.concatenate([waiting, piece[:, :left]], axis=1)
        left -= min(left, piece.shape[1])
        while waiting.shape[1] >= frames:
            yield np.ascontiguousarray(waiting[:, :frames])
            waiting = waiting[:, frames:]
    if waiting.shape[1]:
        yield np.ascontiguousarray(waiting)


@lru_cache(maxsize=1024)
def _count(path: Path, modified_ns: int, size: int) -> int:
    """Count the samples of a file in its present state."""
    return sum(piece.shape[1] for piece in _decoded(path))


def _decoded(path: Path) -> Iterator[FloatArray]:
    """Yield the samples of a file (channels, any number), as float32."""
    import av

    done, rate = 0, 1
    try:
        with av.open(os.fspath(path)) as container:
            stream = container.streams.best("audio")
            context = stream.codec_context
            rate = context.sample_rate
            convert = av.AudioResampler(format="fltp", layout=context.layout, rate=rate)
            for frame in container.decode(stream):
                for piece in convert.resample(frame):
                    done += piece.samples
                    yield piece.to_ndarray()
            for piece in convert.resample(None):
                done += piece.samples
                yield piece.to_ndarray()
    except (av.FFmpegError, OSError) as error:
        raise _truncated(path, done / rate, str(error)) from error


def _truncated(path: Path, readable_s: float, why: str) -> AudioError:
    return AudioError(
        f"{path} is truncated or damaged: only {readable_s:.3f} s can be read ({why}); get a whole "
        "copy of the file, or cut it there with an audio editor"
    )


def _subtype(context: Any) -> str:
    """Name a depth or codec in libsndfile's manner."""
    name = context.name
    if name in LOSSLESS_CODECS:
        # Formats of 24 bits are decoded to 32; what tells of 16 is the sample format.
        return "PCM_16" if context.format.name.startswith("s16") else "PCM_24"
    for codec, depth in INTEGER_CODECS.items():
        if name.startswith(codec):
            return depth
    return str(name).upper()
