"""Writing of audio files, which appear only when they are complete."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, get_args

import numpy as np
import numpy.typing as npt
import soundfile

from a2sb_core.audio import file_names as names
from a2sb_core.audio.arrays import FloatArray, as_wave, check_finite
from a2sb_core.audio.choices import ClipMode
from a2sb_core.audio.formats import (
    FLOAT_DEPTHS,
    FORMATS,
    INTEGER_BITS,
    KEEP,
    SAMPLE_BYTES,
    AudioInfo,
    bits_of,
    check_format,
    known_suffixes,
)
from a2sb_core.audio.headers import clear_time_stamp
from a2sb_core.audio.resampling import resampled_length
from a2sb_core.audio.tag_writing import OutputTags
from a2sb_core.common.files import partial_path, put_in_place
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

# The largest amplitude of the formats other than float.
FULL_SCALE = 1.0
# WAV and AIFF store their size in 32 bits; the margin is for the header.
LARGEST_BYTES = (1 << 32) - (1 << 20)
SMALL_CONTAINERS = ("WAV", "WAVEX", "AIFF")
# With more bits, the noise of rounding is inaudible without dither.
DITHERED_BITS = 16
# The Vorbis encoder overflows its stack on blocks of millions of samples.
CHUNK_FRAMES = 1 << 16


def check_target(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Check that a target can and may be written, before any work is done.

    Args:
        path: path of the target.
        overwrite: whether an existing file may be replaced.
        source: the input, which is never replaced.

    Raises:
        AudioError: the format is unknown, the folder is missing, the target is the input or
            exists, or the system does not allow the name.
    """
    path = Path(path)
    _check_name(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder; name a file in it as the target")
    if path.suffix.lower() not in FORMATS:
        raise AudioError(
            f"{path}: the format `{path.suffix}` cannot be written; use one of {known_suffixes()}"
        )
    if not path.parent.is_dir():
        raise AudioError(
            f"the folder {path.parent} does not exist; create it first: mkdir -p {path.parent}"
        )
    if source is not None and path.exists() and path.samefile(source):
        raise AudioError(f"{path} is the input itself; choose another name for the output")
    if path.exists() and not overwrite:
        raise AudioError(f"{path} exists already; choose another name or allow overwriting")


def _check_name(path: Path) -> None:
    """Check a name that would make writing fail at the end, or that is the name of a device."""
    if fault := names.fault(path.name):
        raise AudioError(f"the name of {path} {fault}; choose another one")
    longest = max(path.name, partial_path(path).name, key=len)
    if names.is_too_long(path.parent.absolute() / longest):
        raise AudioError(
            f"{path} is in a folder whose path is too long for Windows; choose another folder, or "
            "enable long paths in Windows (LongPathsEnabled)"
        )


class AudioWriter:
    """Writes blocks into a file that appears only when it is complete.

    Use it as a context manager. The samples are first written to a hidden file in the same folder.
    A normal exit renames it to the target; an exception removes it.

    Args:
        path: the target; its suffix determines the format.
        sample_rate: sample rate in Hz.
        channels: number of channels.
        subtype: bit depth by libsndfile's name (``PCM_16``, ``FLOAT``, ...), or ``keep``, which is
            that of `like` if the format supports it, else the default of the format. Dither is
            added if the input has more bits and the output has at most 16.
        like: the input, whose bit depth is kept and whose tags and pictures are copied.
        tags: tags to write instead of those of `like`, with the names of `formats.TAGS`.
        overwrite: whether an existing file may be replaced.
        clip_mode: treatment of samples that exceed full scale, unless the bit depth is float:
            ``clamp`` limits them, ``rescale`` lowers the whole recording to fit, and ``none``
            leaves them to the format (integers limit them, lossy codecs keep them).
        frames: expected number of samples (default: the length of `like`). WAV becomes RF64 if
            they exceed 4 GB.

    Raises:
        AudioError: see `check_target`; or the format does not support such samples, writing fails,
            or a sample is NaN or infinite.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        *,
        subtype: str = KEEP,
        like: AudioInfo | None = None,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
        clip_mode: ClipMode = "clamp",
        frames: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.channels = channels
        check_target(self.path, overwrite=overwrite)
        if clip_mode not in get_args(ClipMode):
            known = ", ".join(get_args(ClipMode))
            raise AudioError(f"unknown clip mode `{clip_mode}`; use one of {known}")
        self._container, self.subtype = check_format(
            self.path, sample_rate, channels, subtype, like
        )
        if frames is None and like is not None:
            frames = resampled_length(like.frames, like.sample_rate, sample_rate)
        bits = bits_of(self.subtype)
        is_reduced = bits < bits_of(like.subtype if like is not None else "FLOAT")
        self._dither = np.random.default_rng(0) if is_reduced and bits <= DITHERED_BITS else None
        self._frame_bytes = channels * SAMPLE_BYTES.get(self.subtype, 4)
        large = (frames or 0) * self._frame_bytes > LARGEST_BYTES
        if large and self._container in ("WAV", "WAVEX"):
            self._container = "RF64"
        given = tags if tags is not None else like.tags if like else {}
        copied = None if like is None or tags is not None else like.path
        is_same_time = like is not None and (sample_rate, frames) == (like.sample_rate, like.frames)
        self._tags = OutputTags(self._container, given, copied, is_same_time)
        self._overwrite = overwrite
        self._clip_mode = clip_mode
        self._partial = partial_path(self.path)
        self._spool_path = self._partial.with_suffix(".spool")
        self._file: Any = None
        self._spool: BinaryIO | None = None
        self._peak = 0.0
        self._frames = 0

    def __enter__(self) -> Self:
        with self._clear_errors(), self._removal_on_error():
            # Create the file with the user's default permissions, and never open an existing one.
            self._partial.open("xb").close()
            if self._clip_mode == "rescale" and self.subtype not in FLOAT_DEPTHS:
                self._spool = self._spool_path.open("xb")
            self._file = soundfile.SoundFile(
                names.for_libsndfile(self._partial),
                "w",
                self.sample_rate,
                self.channels,
                self.subtype,
                format=self._container,
            )
            self._tags.write_chunks(self._file)
        return self

    def write(self, block: FloatArray | torch.Tensor) -> None:
        """Append samples of shape (channels, samples)."""
        wave = as_wave(block, str(self.path))
        if wave.shape[0] != self.channels:
            raise AudioError(
                f"{self.path} is written with {self.channels} channels, but a block has "
                f"{wave.shape[0]}"
            )
        start_s = self._frames / self.sample_rate
        where = f"the output to {self.path}"
        check_finite(wave, where, sample_rate=self.sample_rate, start_s=start_s)
        self._frames += wave.shape[1]
        if self._container in SMALL_CONTAINERS and self._frames * self._frame_bytes > LARGEST_BYTES:
            raise AudioError(
                f"{self.path} would exceed the 4 GB that its format supports; use .w64 or .rf64"
            )
        with self._clear_errors():
            for start in range(0, wave.shape[1], CHUNK_FRAMES):
                self._take(wave[:, start : start + CHUNK_FRAMES])

    def _take(self, chunk: FloatArray) -> None:
        self._peak = max(self._peak, float(np.abs(chunk).max()))
        if self._spool is not None:
            self._spool.write(np.ascontiguousarray(chunk.T, dtype=self._spool_dtype).data)
        elif self._clip_mode == "clamp" and self.subtype not in FLOAT_DEPTHS:
            self._put(chunk.clip(-FULL_SCALE, FULL_SCALE))
        else:
            self._put(chunk)

    @property
    def tag_notes(self) -> list[str]:
        """Sentences about tags of the input that the output lacks."""
        return self._tags.notes

    @property
    def clip_note(self) -> str | None:
        """Treatment of samples that exceeded full scale; None if none did, or if it is float."""
        if self._peak <= FULL_SCALE or self.subtype in FLOAT_DEPTHS:
            return None
        over = f"{20 * math.log10(self._peak / FULL_SCALE):.2f} dB"
        if self._clip_mode == "rescale":
            return f"the result exceeded full scale and was lowered by {over}"
        is_left = self._clip_mode == "none" and self.subtype not in INTEGER_BITS
        treatment = "not changed" if is_left else "limited"
        return (
            f"the result exceeded full scale by up to {over} and was {treatment} "
            "(the clip mode rescale would lower it)"
        )

    @property
    def _spool_dtype(self) -> type[np.floating[Any]]:
        """Type with at least the bits of the output."""
        return np.float64 if self.subtype == "PCM_32" else np.float32

    def _put(self, chunk: FloatArray) -> None:
        frames = to_depth(chunk, self.subtype, self._dither).T
        try:
            self._file.write(np.ascontiguousarray(frames))
        except AssertionError as error:  # raised by soundfile after a short write
            raise OSError("not all samples could be written; is the disk full?") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._clear_errors():
            try:
                if kind is None:
                    if self._spool is not None:
                        self._unspool()
                    self._file.close()
                    self._commit()
            finally:
                self._discard()

    def _unspool(self) -> None:
        """Write the spooled samples, scaled by the peak that is now known."""
        assert self._spool is not None
        self._spool.close()
        gain = min(1.0, FULL_SCALE / self._peak) if self._peak else 1.0
        count = CHUNK_FRAMES * self.channels
        with self._spool_path.open("rb") as spool:
            while (flat := np.fromfile(spool, self._spool_dtype, count)).size:
                self._put((flat.reshape(-1, self.channels) * flat.dtype.type(gain)).T)

    def _commit(self) -> None:
        if not self._frames:
            raise AudioError(f"{self.path}: there are no samples to write")
        clear_time_stamp(self._partial)
        self._tags.write(self._partial)
        check_target(self.path, overwrite=self._overwrite)  # another program may have created it
        put_in_place(self._partial, self.path)

    def _discard(self) -> None:
        if self._spool is not None:
            with contextlib.suppress(OSError):
                self._spool.close()
        if self._file is not None:
            with contextlib.suppress(soundfile.SoundFileError, OSError):
                self._file.close()
        self._partial.unlink(missing_ok=True)
        self._spool_path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _removal_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._discard()
            raise

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
            detail = str(getattr(error, "error_string", "") or error).strip().rstrip(".")
            raise AudioError(
                f"{self.path} cannot be written as {self._container} ({self.subtype}) with "
                f"{self.channels} channels at {self.sample_rate} Hz: {detail}; free space, or "
                "choose another folder or format, for instance .wav"
            ) from error


def write(
    path: str | os.PathLike[str],
    wave: FloatArray | torch.Tensor,
    sample_rate: int,
    *,
    subtype: str = KEEP,
    like: AudioInfo | None = None,
    tags: Mapping[str, str] | None = None,
    overwrite: bool = False,
    clip_mode: ClipMode = "clamp",
) -> None:
    """Write samples of shape (channels, samples) at once; see `AudioWriter` for the arguments."""
    samples = as_wave(wave, str(path))
    writer = AudioWriter(
        path,
        sample_rate,
        samples.shape[0],
        subtype=subtype,
        like=like,
        tags=tags,
        overwrite=overwrite,
        clip_mode=clip_mode,
        frames=samples.shape[1],
    )
    with writer:
        writer.write(samples)


def to_depth(
    wave: FloatArray, subtype: str, dither: np.random.Generator | None = None
) -> npt.NDArray[Any]:
    """Round samples to the integers of a bit depth; other samples are returned unchanged.

    Without dither, a sample that was read from an integer file is written as the same integer. The
    conversion of libsndfile scales by 32767, which changes it. Dither is triangular with a range of
    two least significant bits; digital silence stays silent.

    Returns:
        int16 for 16 bits, otherwise integers in the upper bits of int32, as libsndfile expects.
    """
    bits = INTEGER_BITS.get(subtype)
    if bits is None:
        return wave
    scale = 1 << (bits - 1)
    # float32 has 24 bits of precision, which makes these operations exact.
    whole = wave.astype(np.float64) if bits > 24 else wave
    whole = whole * scale
    if dither is not None:
        pairs = dither.random((*whole.shape[::-1], 2))  # in order of time, for any block size
        whole = whole + (pairs[..., 0] - pairs[..., 1]).T * (whole != 0)
    whole = np.rint(whole).clip(-scale, scale - 1)
    if bits == 16:
        return whole.astype(np.int16)
    return whole.astype(np.int32) << (32 - bits)
