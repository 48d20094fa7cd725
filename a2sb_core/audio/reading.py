"""Reading of audio files, whole or block by block, with errors that state a remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.chained_ogg import ChainedOgg, is_chained
from a2sb_core.audio.file_names import for_libsndfile
from a2sb_core.audio.formats import (
    FLOAT_DEPTHS,
    TAGS,
    AudioInfo,
    ForwardFile,
    check_header,
    known_suffixes,
)
from a2sb_core.audio.headers import missing_bytes, ogg_is_cut, streamed_wav
from a2sb_core.audio.media import is_installed, media_blocks, media_info
from a2sb_core.audio.mp3_frames import complete_mp3
from a2sb_core.audio.pieces import PiecewiseFile
from a2sb_core.errors import AudioError

# Number of samples per channel that are read at once by default.
BLOCK_FRAMES = 1 << 18
# About a millisecond.
FINE_FRAMES = 64
# Bit depths that float32 cannot represent.
EXACT_SUBTYPES = ("PCM_32", "DOUBLE")
# libsndfile reports about 2^63 for a stream of unknown length.
UNKNOWN_FRAMES = 1 << 62
# Far above any recording: 600 dB over full scale.
LARGEST_SAMPLE = 1e30


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Return the properties of an audio file.

    The samples are decoded only if nothing declares the length of the file (some FLAC files).

    Raises:
        AudioError: the file is missing, a folder, empty, not audio, without samples, or
            recognizably truncated.
    """
    if (about := _as_media(Path(path))) is not None:
        return about
    with _open(path) as file:
        return _describe(Path(path), file)


def read(path: str | os.PathLike[str]) -> tuple[FloatArray, AudioInfo]:
    """Read a whole file.

    Returns:
        Samples as float32 of shape (channels, samples), full scale 1, and the properties of the
        file. NaN and infinity of float files are not changed: see `check_finite`.

    Raises:
        AudioError: see `info`; or the file is truncated.
    """
    about = info(path)
    wave = _room(about)
    done = 0
    for block in read_blocks(path, BLOCK_FRAMES):
        wave[:, done : done + block.shape[1]] = block
        done += block.shape[1]
    return wave, about


def read_blocks(
    path: str | os.PathLike[str], frames: int, *, exact: bool = False
) -> Iterator[FloatArray]:
    """Yield blocks (channels, `frames`) of a file; the last one may be shorter.

    Args:
        path: path of the file.
        frames: number of samples per channel of a block.
        exact: yield float64 if float32 cannot represent the samples of the file (integers of 32
            bits and double precision); otherwise, blocks are float32.

    Raises:
        AudioError: see `read`; the end of a truncated file is noticed only when it is reached.
    """
    if frames < 1:
        raise AudioError(f"A block must have at least one sample, not {frames}.")
    if (about := _as_media(Path(path))) is not None:
        yield from media_blocks(about, frames)
        return
    with _open(path) as file:
        about = _describe(Path(path), file)
        chain = ChainedOgg(Path(path)) if file.format == "OGG" and is_chained(Path(path)) else None
        yield from _blocks(chain or file, about, frames, exact and about.subtype in EXACT_SUBTYPES)


def _as_media(path: Path) -> AudioInfo | None:
    """Return the properties of a file that only PyAV reads; None for every other file."""
    if not path.is_file() or not is_installed():
        return None
    try:
        ForwardFile(for_libsndfile(path)).close()
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        return media_info(path)
    return None


def _open(path: str | os.PathLike[str]) -> ForwardFile:
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not an audio file; name a file in it")
    if not path.exists():
        raise AudioError(f"{path} does not exist; check the path")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}") from error
    if is_empty:
        raise AudioError(f"{path} is empty (0 bytes); there is no audio in it")
    try:
        return _all_of(path, ForwardFile(for_libsndfile(path)))
    # soundfile raises TypeError for .raw files, which do not declare a sample rate.
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        more = "" if is_installed() else "; install a2sb[media] to read m4a, video and more"
        raise AudioError(
            f"{path} cannot be read as audio ({_detail(error)}); it is damaged, empty, or of an "
            f"unknown format (known: {known_suffixes()} and the others of libsndfile){more}"
        ) from error


def _all_of(path: Path, file: ForwardFile) -> ForwardFile:
    """Return the file, or another one if its header declares too few samples."""
    pieces = None
    if file.format == "MP3":
        pieces = complete_mp3(path)
    elif not file.frames:
        pieces = streamed_wav(path)
    if pieces is None or len(pieces) == 1:
        return file
    file.close()
    return ForwardFile(PiecewiseFile(path, pieces))


def _detail(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _room(about: AudioInfo) -> FloatArray:
    try:
        return np.empty((about.channels, about.frames), dtype=np.float32)
    except (MemoryError, ValueError) as error:
        raise AudioError(
            f"{about.path} does not fit into memory: its header declares {about.duration_s:.0f} s "
            f"of {about.channels} channels; if that is correct, split the file"
        ) from error


def _describe(path: Path, file: ForwardFile) -> AudioInfo:
    frames = int(file.frames)
    is_known = frames < UNKNOWN_FRAMES
    check_header(str(path), file.samplerate, file.channels, frames if is_known else 0)
    if file.format == "OGG" and is_chained(path):
        frames = ChainedOgg(path).frames
    guessed = file.format == "MP3" and complete_mp3(path) is None
    if guessed or not is_known:
        frames = _count_frames(path)
    if frames <= 0:
        raise AudioError(f"{path} contains a header but no samples; there is nothing to restore")
    tags = {tag: value for tag in TAGS if (value := getattr(file, tag))}
    about = AudioInfo(path, file.samplerate, file.channels, frames, file.subtype, file.format, tags)
    if missing_bytes(path) or (file.format == "OGG" and ogg_is_cut(path)):
        raise _truncated(about, frames)
    return about


def _count_frames(path: Path, at_once: int = BLOCK_FRAMES) -> int:
    """Decode a file to count its samples, up to the block with the first damaged place."""
    frames = 0
    with _open(path) as file:
        try:
            while count := len(file.read(at_once, dtype="float32", always_2d=True)):
                frames += count
        except soundfile.SoundFileError:
            pass
    return frames


def _blocks(
    file: ForwardFile | ChainedOgg, about: AudioInfo, frames: int, is_double: bool
) -> Iterator[FloatArray]:
    done, dtype = 0, "float64" if is_double else "float32"
    while done < about.frames:
        wanted = min(frames, about.frames - done)
        try:
            block = file.read(wanted, dtype=dtype, always_2d=True)
        except soundfile.SoundFileError as error:
            raise _truncated(about, _count_frames(about.path, FINE_FRAMES)) from error
        if about.subtype in FLOAT_DEPTHS:
            _check_size(about, block)
        done += len(block)
        if len(block):
            yield np.ascontiguousarray(block.T)
        if len(block) < wanted:
            raise _truncated(about, done)


def _check_size(about: AudioInfo, block: FloatArray) -> None:
    """Check that sums of finite samples do not exceed single precision."""
    sizes = np.abs(block)
    largest = sizes.max(where=np.isfinite(sizes), initial=0.0)
    if largest > LARGEST_SAMPLE:
        raise AudioError(
            f"{about.path} contains a sample of {largest:.0e}, though full scale is 1; it is "
            "damaged, or its samples must be scaled first"
        )


def _truncated(about: AudioInfo, readable_frames: int) -> AudioError:
    readable_s = readable_frames / about.sample_rate
    promised = ""
    if readable_frames < about.frames:
        promised = f" of the {about.duration_s:.3f} s that its header declares"
    return AudioError(
        f"{about.path} is truncated or damaged: only {readable_s:.3f} s{promised} can be read; "
        "get a complete copy of the file, or cut it there with an audio editor"
    )
