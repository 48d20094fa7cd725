"""Reading and writing audio files: depth and tags kept, nothing lost, nothing overwritten unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import soundfile

from a2sb_core.audio.arrays import FloatArray, as_wave, check_finite
from a2sb_core.errors import AudioError

__all__ = [
    "AudioInfo", "AudioWriter", "ClipMode", "check_finite", "check_target", "info", "read",
    "read_blocks", "write",
]

ClipMode = Literal["clamp", "rescale", "none"]
FORMATS = {
    ".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".aiff": "AIFF", ".aif": "AIFF", ".w64": "W64",
    ".rf64": "RF64", ".mp3": "MP3", ".opus": "OGG",
}
# What a format is written in where the input's own depth does not fit it.
FALLBACK_SUBTYPE = {
    "WAV": "FLOAT", "FLAC": "PCM_24", "OGG": "VORBIS", "AIFF": "FLOAT", "W64": "FLOAT",
    "RF64": "FLOAT", "MP3": "MPEG_LAYER_III",
}
TAGS = (
    "title", "artist", "album", "date", "genre", "tracknumber", "comment", "copyright", "license",
    "software",
)
# The loudest value that a PCM depth holds, for the clip modes.
FULL_SCALE = 1.0
LARGEST_WAV_BYTES = 4 * 1024**3 - 2**20


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself; ``frames`` are samples of one channel."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file for reading, with errors a person can act on."""
    if not path.exists():
        raise AudioError(f"{path} does not exist; check the path")
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not an audio file; name a file in it")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is empty (0 bytes); there is no audio in it")
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.LibsndfileError, OSError) as error:
        detail = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise AudioError(
            f"{path} can not be read as audio ({detail}); it is damaged, or of a format other than "
            f"{', '.join(sorted(FORMATS))}"
        ) from error


def info(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises:
        AudioError: it is missing, a folder, empty, or no audio.
    """
    with _opened(Path(path)) as file:
        return _describe(Path(path), file)


def _describe(path: Path, file: soundfile.SoundFile) -> AudioInfo:
    if file.frames <= 0:
        raise AudioError(f"{path} holds a header but no samples; there is nothing to restore")
    tags = {tag: value for tag in TAGS if (value := getattr(file, tag, ""))}
    return AudioInfo(
        path, file.samplerate, file.channels, file.frames, file.format, file.subtype, tags
    )


def read(path: str | Path) -> tuple[FloatArray, AudioInfo]:
    """Read a whole file as float32 (channels, samples), full scale 1.

    Raises:
        AudioError: as :func:`info`, or the file is shorter than its header says.
    """
    with _opened(Path(path)) as file:
        about = _describe(Path(path), file)
        wave = file.read(dtype="float32", always_2d=True).T
    _check_whole(wave.shape[1], about)
    return np.ascontiguousarray(wave), about


def read_blocks(path: str | Path, frames: int) -> Iterator[FloatArray]:
    """Read a file as float32 blocks (channels, up to ``frames`` samples)."""
    with _opened(Path(path)) as file:
        about, done = _describe(Path(path), file), 0
        while len(block := file.read(frames, dtype="float32", always_2d=True)):
            done += len(block)
            yield np.ascontiguousarray(block.T)
    _check_whole(done, about)


def _check_whole(found: int, about: AudioInfo) -> None:
    if found < about.frames:
        raise AudioError(
            f"{about.path} is truncated: its header promises {about.duration_s:.3f} s, "
            f"{found / about.sample_rate:.3f} s can be read; get a whole copy of the file"
        )


def check_target(
    path: str | Path, *, overwrite: bool = False, source: str | Path | None = None
) -> None:
    """Refuse a target that can not or must not be written, before any work is done.

    Raises:
        AudioError: unknown format, missing folder, the input itself, or a file that exists.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise AudioError(
            f"{path}: the format `{path.suffix}` can not be written; "
            f"use one of {', '.join(sorted(FORMATS))}"
        )
    if not path.parent.is_dir():
        raise AudioError(
            f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}"
        )
    if source is not None and path.exists() and path.samefile(source):
        raise AudioError(f"{path} is the input itself; choose another name for the output")
    if path.exists() and not overwrite:
        raise AudioError(f"{path} exists already; choose another name or allow overwriting")


class AudioWriter:
    """Writes blocks (channels, samples) into a file that appears only when it is whole.

    Use as a context manager: leaving it in order renames the temporary file to ``path``, leaving
    it by an exception removes it.

    Args:
        path: the target; its suffix says the format.
        sample_rate: Hz.
        channels: number of channels.
        like: the input: its depth is kept where the format can, and its tags are copied.
        subtype: depth by soundfile's name (``PCM_16``, ``FLOAT``, ...) instead of ``like``'s.
        frames: expected samples, to choose a format for files over 4 GB.
        overwrite: replace an existing file.

    Raises:
        AudioError: as :func:`check_target`; the format can not hold it; writing fails.
    """

    def __init__(
        self, path: str | Path, sample_rate: int, channels: int, *, like: AudioInfo | None = None,
        subtype: str | None = None, frames: int = 0, overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        check_target(self.path, overwrite=overwrite)
        container = _container(self.path, like, subtype)
        self.subtype = container[1]
        handle, name = tempfile.mkstemp(
            prefix=f".{self.path.stem}-", suffix=self.path.suffix, dir=self.path.parent
        )
        os.close(handle)
        self._partial = Path(name)
        large = frames * channels * 4 > LARGEST_WAV_BYTES
        try:
            self._file = soundfile.SoundFile(
                name, "w", sample_rate, channels, subtype=container[1],
                format="RF64" if container[0] == "WAV" and large else container[0],
            )
            for tag, value in (like.tags if like else {}).items():
                setattr(self._file, tag, value)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            self._partial.unlink(missing_ok=True)
            raise AudioError(
                f"{self.path}: {channels} channels at {sample_rate} Hz as {container[1]} can not be "
                f"written in this format ({error}); choose another, .wav for instance"
            ) from error

    def write(self, block: FloatArray) -> None:
        """Append (channels, samples)."""
        try:
            self._file.write(_quantized(as_wave(block, str(self.path)), self.subtype).T)
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError(
                f"{self.path} can not be written: {error}; is the disk full?"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                mask = os.umask(0)
                os.umask(mask)
                self._partial.chmod(0o666 & ~mask)
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


def write(
    path: str | Path, wave: FloatArray | Any, sample_rate: int, *, like: AudioInfo | None = None,
    subtype: str | None = None, overwrite: bool = False, clip_mode: ClipMode = "clamp",
) -> None:
    """Write (channels, samples) as a whole; see :class:`AudioWriter`.

    Where samples exceed full scale and the depth is not float: ``clamp`` limits them,
    ``rescale`` lowers the whole recording to fit, ``none`` leaves it to the format.
    """
    samples = as_wave(wave, str(path))
    check_finite(samples, f"what is to be written to {path}", sample_rate=sample_rate)
    with AudioWriter(
        path, sample_rate, len(samples), frames=samples.shape[1], like=like, subtype=subtype,
        overwrite=overwrite,
    ) as file:
        peak = float(np.abs(samples).max(initial=0.0))
        if file.subtype not in ("FLOAT", "DOUBLE") and peak > FULL_SCALE:
            if clip_mode == "clamp":
                samples = samples.clip(-FULL_SCALE, FULL_SCALE)
            elif clip_mode == "rescale":
                samples = samples * (FULL_SCALE / peak)
        file.write(samples)


def _container(path: Path, like: AudioInfo | None, subtype: str | None) -> tuple[str, str]:
    """Return format and subtype: as told, as the input's where it fits, else the format's own."""
    kind = FORMATS[path.suffix.lower()]
    if path.suffix.lower() == ".opus":
        return kind, "OPUS"
    wanted = subtype or (like.subtype if like else FALLBACK_SUBTYPE[kind])
    if subtype is None and like is not None and like.format in ("OGG", "MP3") and kind != like.format:
        wanted = FALLBACK_SUBTYPE[kind]  # a lossy input has no depth of its own
    if soundfile.check_format(kind, wanted):
        return kind, wanted
    if subtype is not None:
        known = ", ".join(sorted(soundfile.available_subtypes(kind)))
        raise AudioError(f"{path}: the depth `{subtype}` does not fit the format; use {known}")
    return kind, FALLBACK_SUBTYPE[kind]


def _quantized(samples: FloatArray, subtype: str) -> FloatArray | np.ndarray[Any, Any]:
    """Round to the integers of a PCM depth, so that samples read from it are written back alike."""
    bits = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype)
    if bits is None:
        return samples
    scale = 2 ** (bits - 1)
    whole = np.rint(samples.astype(np.float64) * scale).clip(-scale, scale - 1)
    if bits == 16:
        return np.asarray(whole.astype(np.int16))
    return np.asarray((whole.astype(np.int64) << (32 - bits)).astype(np.int32))
