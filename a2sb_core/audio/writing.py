"""Write audio files that appear only when they are whole."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, get_args

import mutagen
import numpy as np
import numpy.typing as npt
import soundfile

from a2sb_core.audio import names
from a2sb_core.audio.arrays import FloatArray, as_wave, check_finite
from a2sb_core.audio.formats import (
    FLOAT_DEPTHS,
    FORMATS,
    INTEGER_BITS,
    KEEP,
    TAGS,
    AudioInfo,
    bits_of,
    choose_format,
    known_suffixes,
)
from a2sb_core.audio.resample import resampled_length
from a2sb_core.audio.tags import Tags, read_tags, write_tags
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

ClipMode = Literal["clamp", "rescale", "none"]
# The largest amplitude that is not float.
FULL_SCALE = 1.0
# WAV and AIFF count their bytes in 32 bits; room is left for the header.
LARGEST_BYTES = (1 << 32) - (1 << 20)
SMALL_CONTAINERS = ("WAV", "WAVEX", "AIFF")
# What libsndfile writes tags of into, as chunks of plain text; all else is written by mutagen.
CHUNKED_CONTAINERS = ("WAV", "WAVEX", "RF64", "AIFF")
TAGLESS_CONTAINERS = ("RF64", "W64")
# Beyond so many bits the noise of rounding is far below hearing.
DITHERED_BITS = 16
SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}
# The Vorbis encoder overflows its stack on blocks of millions of samples.
CHUNK_FRAMES = 1 << 16


def check_target(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse a target that can not or must not be written, before any work is done.

    Args:
        path: where to write.
        overwrite: whether a file there may be replaced.
        source: the input, which is never replaced.

    Raises:
        AudioError: unknown format, missing folder, the input itself, a file that exists, or a
            name that the system does not take.
    """
    path = Path(path)
    _check_name(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder; name a file in it to write")
    if path.suffix.lower() not in FORMATS:
        raise AudioError(
            f"{path}: the format `{path.suffix}` can not be written; use one of {known_suffixes()}"
        )
    if not path.parent.is_dir():
        raise AudioError(
            f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}"
        )
    if source is not None and path.exists() and path.samefile(source):
        raise AudioError(f"{path} is the input itself; choose another name for the output")
    if path.exists() and not overwrite:
        raise AudioError(f"{path} exists already; choose another name or allow overwriting")


def _check_name(path: Path) -> None:
    """Refuse what would fail at the end, or be written to a device."""
    if fault := names.fault(path.name):
        raise AudioError(f"the name of {path} {fault}; choose another one")
    longest = max(path.name, _partial_name(), key=len)
    if names.is_too_long(path.parent.absolute() / longest):
        raise AudioError(
            f"{path} is in a folder whose path is too long for Windows; choose another one, or let "
            "Windows take long paths (its setting LongPathsEnabled)"
        )


def _partial_name() -> str:
    return f".a2sb-{secrets.token_hex(8)}.part"


class AudioWriter:
    """Writes blocks into a file that appears only when it is whole.

    Use it as a context manager: leaving it in order puts the file in place, leaving it by an
    exception removes what was written. Meanwhile the samples are in a hidden file of the same
    folder.

    Args:
        path: the target; its suffix says the format.
        sample_rate: in Hz.
        channels: number of channels.
        subtype: depth by libsndfile's name (``PCM_16``, ``FLOAT``, ...), or ``keep``: that of
            `like` where the format holds it, else the format's own. Where 16 bits or fewer are
            fewer than those of the input, dither is added.
        like: the input: its depth is kept, its tags and pictures are copied.
        tags: written instead of those of `like`; names as in `formats.TAGS`.
        overwrite: replace an existing file.
        clip_mode: where samples exceed full scale and the depth is not float (float holds them):
            ``clamp`` limits them, ``rescale`` lowers the whole recording to fit, ``none`` leaves
            it to the format (integers limit them, lossy codecs keep them).
        frames: samples to come; WAV becomes RF64 where they exceed 4 GB. Without it, the length
            of `like` counts.

    Raises:
        AudioError: as `check_target`; the format does not hold such samples; writing fails; or
            a sample is NaN or infinite.
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
        self._plain = _known_tags(tags if tags is not None else like.tags if like else {})
        self._tags = Tags() if like is None or tags is not None else read_tags(like.path)
        self._container, self.subtype = choose_format(self.path, subtype, like)
        if frames is None and like is not None:
            frames = resampled_length(like.frames, like.sample_rate, sample_rate)
        bits = bits_of(self.subtype)
        is_reduced = bits < bits_of(like.subtype if like is not None else "FLOAT")
        self._dither = np.random.default_rng(0) if is_reduced and bits <= DITHERED_BITS else None
        self._frame_bytes = channels * SAMPLE_BYTES.get(self.subtype, 4)
        large = (frames or 0) * self._frame_bytes > LARGEST_BYTES
        if large and self._container in ("WAV", "WAVEX"):
            self._container = "RF64"
        self._overwrite = overwrite
        self._clip_mode = clip_mode
        self._partial = self.path.with_name(_partial_name())
        self._spool_path = self._partial.with_suffix(".spool")
        self._file: Any = None
        self._spool: BinaryIO | None = None
        self._peak = 0.0
        self._frames = 0

    def __enter__(self) -> Self:
        with self._clear_errors(), self._removal_on_error():
            # Made first with the rights that the user's new files have; never an existing file.
            self._partial.open("xb").close()
            if self._clip_mode == "rescale" and self.subtype not in FLOAT_DEPTHS:
                self._spool = self._spool_path.open("xb")
            self._file = soundfile.SoundFile(
                self._partial,
                "w",
                self.sample_rate,
                self.channels,
                self.subtype,
                format=self._container,
            )
            if self._container in CHUNKED_CONTAINERS:
                for name, text in (self._plain | _first_values(self._tags)).items():
                    with contextlib.suppress(soundfile.LibsndfileError):  # one it does not hold
                        setattr(self._file, name, text)
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
        where = f"what is to be written to {self.path}"
        check_finite(wave, where, sample_rate=self.sample_rate, start_s=start_s)
        self._frames += wave.shape[1]
        if self._container in SMALL_CONTAINERS and self._frames * self._frame_bytes > LARGEST_BYTES:
            raise AudioError(
                f"{self.path} would exceed the 4 GB that its format holds; use .w64 or .rf64"
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
    def clip_note(self) -> str | None:
        """What was done as samples exceeded full scale; None: none did, or the depth holds them."""
        if self._peak <= FULL_SCALE or self.subtype in FLOAT_DEPTHS:
            return None
        over = f"{20 * math.log10(self._peak / FULL_SCALE):.2f} dB"
        if self._clip_mode == "rescale":
            return f"lowered by {over}, as the result exceeded full scale"
        is_left = self._clip_mode == "none" and self.subtype not in INTEGER_BITS
        what = "left so" if is_left else "limited"
        return f"the result exceeded full scale by up to {over}: {what} (rescale would lower it)"

    @property
    def _spool_dtype(self) -> type[np.floating[Any]]:
        """What holds all bits that will be written."""
        return np.float64 if self.subtype == "PCM_32" else np.float32

    def _put(self, chunk: FloatArray) -> None:
        frames = to_depth(chunk, self.subtype, self._dither).T
        try:
            self._file.write(np.ascontiguousarray(frames))
        except AssertionError as error:  # soundfile's answer to a short write
            raise OSError("not all could be written; is the disk full?") from error

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
        """Second pass of ``rescale``: the peak is known now."""
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
        plain = Tags() if self._container in ("WAV", "WAVEX") else Tags.of(self._plain)
        if self._container not in TAGLESS_CONTAINERS:
            write_tags(self._partial, self._tags or plain)
        check_target(self.path, overwrite=self._overwrite)  # it may have come up meanwhile
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
        except (
            soundfile.SoundFileError, mutagen.MutagenError, OSError, TypeError, ValueError
        ) as error:
            detail = str(getattr(error, "error_string", "") or error).strip().rstrip(".")
            raise AudioError(
                f"{self.path} can not be written as {self._container} ({self.subtype}) with "
                f"{self.channels} channels at {self.sample_rate} Hz: {detail}; free space, or "
                "choose another folder or format, for instance .wav"
            ) from error


def put_in_place(partial: str | os.PathLike[str], target: Path) -> None:
    """Give a file that is whole its name, in place of what has it.

    Raises:
        AudioError: another program has that open (Windows), or it may not be replaced.
    """
    try:
        os.replace(partial, target)
    except PermissionError as error:
        raise AudioError(
            f"{target} can not be replaced: {error.strerror}; close what has it open, such as a "
            "player, or choose another name"
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
    """Write samples of shape (channels, samples) as a whole; all else as for `AudioWriter`."""
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


def _known_tags(tags: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(tags) - set(TAGS))
    if unknown:
        raise AudioError(f"unknown tags {', '.join(unknown)}; those known are {', '.join(TAGS)}")
    return {name: text for name, text in tags.items() if text}


def _first_values(tags: Tags) -> dict[str, str]:
    return {name: tags.texts[name][0] for name in TAGS if tags.texts.get(name)}


def to_depth(
    wave: FloatArray, subtype: str, dither: np.random.Generator | None = None
) -> npt.NDArray[Any]:
    """Round to the integers of a depth, or return the samples where it is none.

    Without dither a sample read from an integer file is written as the same integer; libsndfile's
    own conversion scales by 32767 and does not do so. Dither is triangular, of two least
    significant bits from peak to peak; digital silence stays silent.

    Returns:
        int16 for 16 bits, otherwise integers in the upper bits of int32, as libsndfile takes them.
    """
    bits = INTEGER_BITS.get(subtype)
    if bits is None:
        return wave
    scale = 1 << (bits - 1)
    # float32 holds 24 bits and is exact in all of this.
    whole = wave.astype(np.float64) if bits > 24 else wave
    whole = whole * scale
    if dither is not None:
        pairs = dither.random((*whole.shape[::-1], 2))  # in the order of time, whatever the blocks
        whole = whole + (pairs[..., 0] - pairs[..., 1]).T * (whole != 0)
    whole = np.rint(whole).clip(-scale, scale - 1)
    if bits == 16:
        return whole.astype(np.int16)
    return whole.astype(np.int32) << (32 - bits)
