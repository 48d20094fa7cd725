"""Read audio files, whole or block by block, with errors a person can act on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.formats import FORMATS, TAGS, AudioInfo, known_suffixes
from a2sb_core.audio.headers import missing_bytes, mp3_tells_length, ogg_is_cut
from a2sb_core.audio.media import is_installed, media_blocks, media_info
from a2sb_core.errors import AudioError

# Samples of one channel read at once where nobody says how many.
BLOCK_FRAMES = 1 << 18
# libsndfile gives about 2^63 where a stream does not tell its length.
UNKNOWN_FRAMES = 1 << 62


class _Stream(soundfile.SoundFile):  # type: ignore[misc, unused-ignore]
    """A file read from front to back only.

    soundfile seeks after each read of a seekable file, which fails where the length is unknown.
    """

    def seekable(self) -> bool:
        return False


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Read what an audio file says of itself.

    The samples are decoded only where the file does not tell its length (some MP3 and FLAC).

    Raises:
        AudioError: it is missing, a folder, empty, not audio, holds no samples, or is seen to be
            truncated.
    """
    if (about := _as_media(Path(path))) is not None:
        return about
    with _open(path) as file:
        return _describe(Path(path), file)


def read(path: str | os.PathLike[str]) -> tuple[FloatArray, AudioInfo]:
    """Read a whole file.

    Returns:
        Samples as float32 of shape (channels, samples), full scale 1, and what the file says of
        itself. NaN and infinity of float files come as they are: see `check_finite`.

    Raises:
        AudioError: as `info`, or it breaks off before its end.
    """
    about = info(path)
    wave = _room(about)
    done = 0
    for block in read_blocks(path, BLOCK_FRAMES):
        wave[:, done : done + block.shape[1]] = block
        done += block.shape[1]
    return wave, about


def read_blocks(path: str | os.PathLike[str], frames: int) -> Iterator[FloatArray]:
    """Read a file as float32 blocks of shape (channels, `frames`); the last may be shorter.

    Raises:
        AudioError: as `read`; a break is noticed only when it is reached.
    """
    if frames < 1:
        raise AudioError(f"A block must have at least one sample, not {frames}.")
    if (about := _as_media(Path(path))) is not None:
        yield from media_blocks(about, frames)
        return
    with _open(path) as file:
        yield from _blocks(file, _describe(Path(path), file), frames)


def _as_media(path: Path) -> AudioInfo | None:
    """Return what PyAV knows of a file that libsndfile does not read; None: it is none."""
    if path.suffix.lower() in FORMATS or not path.is_file() or not is_installed():
        return None
    try:
        _Stream(path).close()
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        return media_info(path)
    return None


def _open(path: str | os.PathLike[str]) -> _Stream:
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not an audio file; name a file in it")
    if not path.exists():
        raise AudioError(f"{path} does not exist; check the path")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise AudioError(f"{path} can not be read: {error.strerror or error}") from error
    if is_empty:
        raise AudioError(f"{path} is empty (0 bytes); there is no audio in it")
    try:
        return _Stream(path)
    # soundfile raises TypeError for .raw, which says nothing of its rate.
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        more = "" if is_installed() else "; m4a, video and more are read with a2sb[media] installed"
        raise AudioError(
            f"{path} can not be read as audio ({_detail(error)}); it is damaged, empty, or of "
            f"another format than those known: {known_suffixes()} and what else libsndfile reads"
            f"{more}"
        ) from error


def _detail(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _room(about: AudioInfo) -> FloatArray:
    try:
        return np.empty((about.channels, about.frames), dtype=np.float32)
    except (MemoryError, ValueError) as error:
        raise AudioError(
            f"{about.path} does not fit into memory: its header promises {about.duration_s:.0f} s "
            f"of {about.channels} channels; if that is true, split the file"
        ) from error


def _describe(path: Path, file: _Stream) -> AudioInfo:
    frames = int(file.frames)
    guessed = file.format == "MP3" and not mp3_tells_length(path)
    if guessed or frames >= UNKNOWN_FRAMES:
        frames = _count_frames(path)
    if frames <= 0:
        raise AudioError(f"{path} holds a header but no samples; there is nothing to restore")
    tags = {tag: value for tag in TAGS if (value := getattr(file, tag))}
    about = AudioInfo(path, file.samplerate, file.channels, frames, file.subtype, file.format, tags)
    if missing_bytes(path) or (file.format == "OGG" and ogg_is_cut(path)):
        raise _truncated(about, frames)
    return about


def _count_frames(path: Path) -> int:
    """Decode a file to learn its length; what follows a damaged place does not count."""
    frames = 0
    with _open(path) as file:
        try:
            while count := len(file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                frames += count
        except soundfile.SoundFileError:
            pass
    return frames


def _blocks(file: _Stream, about: AudioInfo, frames: int) -> Iterator[FloatArray]:
    done = 0
    while done < about.frames:
        wanted = min(frames, about.frames - done)
        try:
            block = file.read(wanted, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise _truncated(about, _readable(about.path)) from error
        done += len(block)
        if len(block):
            yield np.ascontiguousarray(block.T)
        if len(block) < wanted:
            raise _truncated(about, done)


def _readable(path: Path) -> int:
    """Samples up to a damaged place, to a thousandth of a second or so."""
    frames = 0
    with _open(path) as file:
        try:
            while count := len(file.read(64, dtype="float32", always_2d=True)):
                frames += count
        except soundfile.SoundFileError:
            pass
    return frames


def _truncated(about: AudioInfo, readable_frames: int) -> AudioError:
    readable_s = readable_frames / about.sample_rate
    promised = ""
    if readable_frames < about.frames:
        promised = f" of the {about.duration_s:.3f} s its header promises"
    return AudioError(
        f"{about.path} is truncated or damaged: only {readable_s:.3f} s{promised} can be read; "
        "get a whole copy of the file, or cut it there with an audio editor"
    )
