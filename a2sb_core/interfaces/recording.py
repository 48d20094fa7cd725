"""Recording: the damaged audio that a corruption inspects, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.resampling import StreamResampler
from a2sb_core.audio.stretches import Stretches, blank

BLOCK_SAMPLES = 1 << 17  # most samples of a channel that are read at once
BLOCK_VALUES = 1 << 21  # most samples of all channels
BLOCK_S = 3.0  # a block at a low rate becomes much longer at the rate of a model


def block_samples(sample_rate: int, channels: int) -> int:
    """Return the number of samples of a channel that are read at once."""
    return min(BLOCK_SAMPLES, BLOCK_VALUES // channels, math.ceil(BLOCK_S * sample_rate))


def _ignore(text: str) -> None:
    """Ignore a note."""


@dataclass(frozen=True)
class Recording:
    """A damaged recording of any length, read in blocks.

    Attributes:
        source: the samples as blocks (C, n), which can be iterated over more than once.
        sample_rate: in Hz.
        channels: number of audio channels, C.
        model_rate: sample rate in Hz at which the model restores.
        duration_s: length in seconds; None if it is unknown, as for a pipe.
        is_partial: whether only the beginning of the recording is available, as for a pipe.
        stretches: stretches of time, in seconds, that are read as silence.
        note: function that receives a sentence for people about a finding.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import Recording
        >>> recording = Recording.of(torch.ones(2, 8000), sample_rate=8000)
        >>> recording.duration_s, sum(block.shape[-1] for block in recording.blocks(rate=16000))
        (1.0, 16000)
    """

    source: Iterable[Tensor]
    sample_rate: int
    channels: int
    model_rate: int
    duration_s: float | None = None
    is_partial: bool = False
    stretches: Stretches = ()
    note: Callable[[str], None] = field(default=_ignore, compare=False)

    @classmethod
    def of(cls, wave: Tensor, sample_rate: int, model_rate: int | None = None) -> Recording:
        """Return the recording of audio (C, T) in memory."""
        blocks = torch.split(wave, block_samples(sample_rate, len(wave)), dim=-1)
        duration_s = wave.shape[-1] / sample_rate
        return cls(blocks, sample_rate, len(wave), model_rate or sample_rate, duration_s)

    def without(self, stretches: Stretches | None) -> Recording:
        """Return this recording with silence in place of some stretches of time."""
        return replace(self, stretches=self.stretches + (stretches or ()))

    def raw_blocks(self) -> Iterator[Tensor]:
        """Yield the blocks (C, n) at the recording's own rate; samples may be NaN or infinite."""
        first = 0
        for block in self.source:
            yield blank(block, self.stretches, self.sample_rate, first)
            first += block.shape[-1]

    def blocks(self, rate: int | None = None) -> Iterator[Tensor]:
        """Yield the blocks (C, n) at ``rate`` Hz (default: the rate of the recording).

        Raises:
            AudioError: a sample is NaN or infinite.
        """
        return resampled_blocks(self._finite_blocks(), self.sample_rate, rate or self.sample_rate)

    def _finite_blocks(self) -> Iterator[Tensor]:
        rate, first = self.sample_rate, 0
        for block in self.raw_blocks():
            check_finite(block, "the audio", sample_rate=rate, start_s=first / rate)
            yield block
            first += block.shape[-1]


def resampled_blocks(blocks: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """Resample consecutive blocks (C, n); they are unchanged if the rates are equal."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = None
    for block in blocks:
        resampler = resampler or StreamResampler(from_rate, to_rate, len(block))
        yield torch.from_numpy(resampler.push(block))
    if resampler is not None:
        yield torch.from_numpy(resampler.finish())
