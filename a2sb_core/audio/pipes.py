"""Audio through pipes: read from stdin as it arrives, written to stdout as it is ready."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
import soundfile

from a2sb_core.audio.arrays import FloatArray, as_wave, check_finite
from a2sb_core.audio.formats import SAMPLE_BYTES, ForwardFile, check_header
from a2sb_core.audio.headers import is_placeholder
from a2sb_core.audio.pipe_links import pipe_links
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

# Size in a header whose writer did not know the length; some writers declare 0 instead.
UNKNOWN_BYTES = (1 << 32) - 1
# Longer than any length that a header of 32 bits can declare in frames of one byte.
LONGEST_FRAMES = UNKNOWN_BYTES - (1 << 16)


class PipeReader:
    """Audio that arrives at a file descriptor: WAV, AU, W64 or Ogg.

    Args:
        descriptor: file descriptor that is open for reading; 0 is stdin.

    Attributes:
        sample_rate: sample rate in Hz.
        channels: number of channels.
        frames: number of samples per channel that the header declares; None if it declares none.

    Raises:
        AudioError: the input is not audio of one of these formats.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._links = map(_open, pipe_links(descriptor))
        try:
            self._file = next(self._links)
        except (OSError, StopIteration) as error:
            raise AudioError("nothing can be read from the pipe; is stdin closed?") from error
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        check_header("the input of the pipe", self.sample_rate, self.channels)
        promised = int(self._file.frames)
        frame_bytes = SAMPLE_BYTES.get(self._file.subtype, 4) * self.channels
        is_known = 0 < promised < LONGEST_FRAMES // frame_bytes and self._file.format != "OGG"
        is_known = is_known and not is_placeholder(promised * frame_bytes)
        self.frames = promised if is_known else None

    def blocks(self, frames: int) -> Iterator[FloatArray]:
        """Yield float32 blocks (channels, n) of at most ``frames`` samples until the pipe ends.

        Raises:
            AudioError: the pipe ends before the declared length, or breaks, or the links of a
                chained Ogg have different sample rates or channels.
        """
        done = 0
        for file in itertools.chain([self._file], self._links):
            if (file.samplerate, file.channels) != (self.sample_rate, self.channels):
                raise AudioError(
                    "the input of the pipe consists of parts with different sample rates or "
                    "channels; split it first"
                )
            while self.frames is None or done < self.frames:
                try:
                    block = file.read(frames, dtype="float32", always_2d=True)
                except soundfile.SoundFileError as error:
                    raise self._broken(done) from error
                if not len(block):
                    break
                done += len(block)
                yield np.ascontiguousarray(block.T)
        if self.frames is not None and done < self.frames:
            raise self._broken(done)
        if not done:
            raise AudioError(
                "the pipe contains a header but no samples; there is nothing to restore"
            )

    def _broken(self, done: int) -> AudioError:
        declared = ""
        if self.frames is not None:
            declared = f" of the {self.frames / self.sample_rate:.3f} s that its header declares"
        return AudioError(
            f"the pipe ended or broke after {done / self.sample_rate:.3f} s{declared}; "
            "check the messages of the program that writes to it"
        )


def _open(descriptor: int) -> ForwardFile:
    try:
        return ForwardFile(descriptor)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(
            "the input of the pipe cannot be read as audio; send WAV, for example from "
            "ffmpeg: `-f wav -`"
        ) from error


class PipeWriter:
    """Writes WAV of 32-bit float samples and unknown length to a stream.

    Args:
        stream: binary stream, such as ``sys.stdout.buffer``.
        sample_rate: sample rate in Hz.
        channels: number of channels.
    """

    def __init__(self, stream: BinaryIO, sample_rate: int, channels: int) -> None:
        self.stream, self.sample_rate, self.channels = stream, sample_rate, channels
        self._frames = 0

    def __enter__(self) -> Self:
        frame_bytes = 4 * self.channels
        self.stream.write(
            b"RIFF"
            + struct.pack("<I", UNKNOWN_BYTES)
            + b"WAVEfmt "
            + struct.pack(
                "<IHHIIHH",
                16,
                3,
                self.channels,
                self.sample_rate,
                self.sample_rate * frame_bytes,
                frame_bytes,
                32,
            )
            + b"data"
            + struct.pack("<I", UNKNOWN_BYTES)
        )
        return self

    def write(self, block: FloatArray | torch.Tensor) -> None:
        """Write samples (channels, n)."""
        wave = as_wave(block, "the pipe")
        check_finite(
            wave,
            "the output to the pipe",
            sample_rate=self.sample_rate,
            start_s=self._frames / self.sample_rate,
        )
        self._frames += wave.shape[1]
        self.stream.write(np.ascontiguousarray(wave.T, dtype="<f4").data)
        self.stream.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.flush()
