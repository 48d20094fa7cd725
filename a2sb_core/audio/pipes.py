"""Audio through pipes: read from stdin as it comes, written to stdout as it is ready."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
import soundfile

from a2sb_core.audio.arrays import FloatArray, as_wave, check_finite
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

# What a header says where its writer did not know the length: all ones, or nothing at all.
UNKNOWN_BYTES = (1 << 32) - 1
# Longer than any header of 32 bits can promise in frames of one byte.
LONGEST_FRAMES = UNKNOWN_BYTES - (1 << 16)


class _Pipe(soundfile.SoundFile):  # type: ignore[misc, unused-ignore]
    """soundfile seeks after each read of what it takes for seekable."""

    def seekable(self) -> bool:
        return False


class PipeReader:
    """Audio that arrives at a file descriptor: WAV, AU, W64 or Ogg.

    Args:
        descriptor: open for reading; 0 is stdin.

    Attributes:
        sample_rate: in Hz.
        channels: their number.
        frames: samples of a channel that the header promises; None where it does not tell.

    Raises:
        AudioError: what arrives is no audio of such a format.
    """

    def __init__(self, descriptor: int = 0) -> None:
        try:
            self._file = _Pipe(descriptor, closefd=False)
        except (soundfile.SoundFileError, OSError) as error:
            raise AudioError(
                "what comes through the pipe can not be read as audio; send WAV, for example from "
                "ffmpeg: `-f wav -`"
            ) from error
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        promised = int(self._file.frames)
        frame_bytes = {"PCM_16": 2, "PCM_24": 3, "PCM_U8": 1, "DOUBLE": 8}.get(
            self._file.subtype, 4
        ) * self.channels
        longest = LONGEST_FRAMES // frame_bytes
        self.frames = promised if 0 < promised < longest and self._file.format != "OGG" else None

    def blocks(self, frames: int) -> Iterator[FloatArray]:
        """Yield float32 blocks (channels, n) of at most ``frames`` samples until the pipe ends.

        Raises:
            AudioError: it ends before the promised length, or breaks.
        """
        done = 0
        while self.frames is None or done < self.frames:
            try:
                block = self._file.read(frames, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                raise self._broken(done) from error
            if not len(block):
                break
            done += len(block)
            yield np.ascontiguousarray(block.T)
        if self.frames is not None and done < self.frames:
            raise self._broken(done)
        if not done:
            raise AudioError("the pipe holds a header but no samples; there is nothing to restore")

    def _broken(self, done: int) -> AudioError:
        promised = "" if self.frames is None else f" of {self.frames / self.sample_rate:.3f} s"
        return AudioError(
            f"the pipe ended or broke after {done / self.sample_rate:.3f} s{promised} that its "
            "header promises; see what its sender says"
        )


class PipeWriter:
    """WAV of 32-bit float samples and of unknown length, written to a stream.

    Args:
        stream: a binary stream, as ``sys.stdout.buffer``.
        sample_rate: in Hz.
        channels: their number.
    """

    def __init__(self, stream: BinaryIO, sample_rate: int, channels: int) -> None:
        self.stream, self.sample_rate, self.channels = stream, sample_rate, channels
        self._frames = 0

    def __enter__(self) -> Self:
        frame_bytes = 4 * self.channels
        self.stream.write(
            b"RIFF" + struct.pack("<I", UNKNOWN_BYTES) + b"WAVEfmt "
            + struct.pack(
                "<IHHIIHH", 16, 3, self.channels, self.sample_rate,
                self.sample_rate * frame_bytes, frame_bytes, 32,
            )
            + b"data" + struct.pack("<I", UNKNOWN_BYTES)
        )
        return self

    def write(self, block: FloatArray | torch.Tensor) -> None:
        """Send samples (channels, n)."""
        wave = as_wave(block, "the pipe")
        check_finite(
            wave, "what is to be sent", sample_rate=self.sample_rate,
            start_s=self._frames / self.sample_rate,
        )
        self._frames += wave.shape[1]
        self.stream.write(np.ascontiguousarray(wave.T, dtype="<f4").data)
        self.stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.flush()
