"""Sources of damaged audio: files, and stdin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.arrays import as_rate
from a2sb_core.audio.choices import Stereo
from a2sb_core.audio.pipes import PipeReader
from a2sb_core.interfaces import Recording
from a2sb_core.interfaces.recording import block_samples
from a2sb_core.restoration.preparing import Samples, TensorBlocks, as_tensor, formed_blocks
from a2sb_core.restoration.stereo import channels_of, check_stereo, form

PIPE = "-"


@dataclass(frozen=True)
class AudioSource:
    """An open file or pipe.

    Attributes:
        name: path of the file, or ``stdin``.
        sample_rate: in Hz.
        channels: number of audio channels.
        frames: length in samples; None for a pipe that does not declare it.
        blocks: the audio as blocks (C, n); those of a file can be iterated over more than once.
        info: properties of the file; None for a pipe.
    """

    name: str
    sample_rate: int
    channels: int
    frames: int | None
    blocks: Iterable[Tensor]
    info: files.AudioInfo | None = None

    @classmethod
    def open(cls, path: str | Path) -> AudioSource:
        """Open a file, or stdin if ``path`` is ``-``.

        Raises:
            AudioError: the source cannot be read as audio.
        """
        if str(path) == PIPE:
            pipe = PipeReader()
            size = block_samples(pipe.sample_rate, pipe.channels)
            arriving = map(torch.from_numpy, pipe.blocks(size))
            return cls("stdin", pipe.sample_rate, pipe.channels, pipe.frames, arriving)
        info = files.info(path)
        blocks = FileBlocks(path, block_samples(info.sample_rate, info.channels))
        return cls(str(path), info.sample_rate, info.channels, info.frames, blocks, info)

    @classmethod
    def of(cls, wave: Samples, sample_rate: int) -> AudioSource:
        """Return audio in memory, (C, T) or (T,), as a source.

        Raises:
            AudioError: the audio or the sample rate is invalid.
        """
        audio, rate = as_tensor(wave), as_rate(sample_rate)
        blocks = torch.split(audio, block_samples(rate, len(audio)), dim=-1)
        return cls("the audio", rate, len(audio), audio.shape[-1], blocks)

    @property
    def is_pipe(self) -> bool:
        """Whether the blocks can be iterated over only once."""
        return not isinstance(self.blocks, Collection)

    def formed(self, stereo: Stereo) -> AudioSource:
        """Return this source with the channels that a stereo mode restores.

        Raises:
            TaskError: the source has too many channels for ``stereo``.
        """
        check_stereo(stereo, self.channels)
        if isinstance(self.blocks, FileBlocks):
            blocks: Iterable[Tensor] = replace(self.blocks, stereo=stereo)
        elif isinstance(self.blocks, Collection):
            blocks = TensorBlocks(self.blocks, self.sample_rate, stereo)
        else:
            blocks = formed_blocks(self.blocks, self.sample_rate, stereo)
        return replace(self, blocks=blocks, channels=channels_of(stereo, self.channels))

    def recording(self, model_rate: int) -> Recording:
        """Return the recording that a corruption inspects, for a model at ``model_rate`` Hz."""
        duration_s = None if self.frames is None else self.frames / self.sample_rate
        return Recording(self.blocks, self.sample_rate, self.channels, model_rate, duration_s)


@dataclass(frozen=True)
class FileBlocks:
    """The blocks (C, n) of a file; every iteration begins at the start of the file.

    They are float64 for files whose samples float32 cannot represent.
    """

    path: str | Path
    size: int
    stereo: Stereo = "lr"

    def __len__(self) -> int:
        return -(-files.info(self.path).frames // self.size)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        for block in files.read_blocks(self.path, self.size, exact=True):
            yield form(torch.from_numpy(block), self.stereo)
