"""Finisher: the last step of a restoration, on the waveform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class BlockPair(NamedTuple):
    """The same samples of the result and of the damaged recording, (C, n) each, at one rate."""

    restored: Tensor
    damaged: Tensor


class SampleQueue:
    """Samples (C, n) that are appended in blocks of one size and taken in blocks of another."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []

    def append(self, block: Tensor) -> None:
        """Append samples (C, n)."""
        self._blocks.append(block)

    def take(self, samples: int) -> Tensor:
        """Remove the first samples and return them, (C, samples)."""
        held = torch.cat(self._blocks, dim=-1)
        self._blocks = [held[:, samples:]]
        return held[:, :samples]


class Finisher(ABC):
    """Edits the output of the model, given the damaged recording.

    :meth:`Corruption.finisher` creates it for given parameters and a sample rate.

    Attributes:
        held_s: longest audio in seconds that :meth:`finish` keeps before it yields it. A limit of
            the memory counts it.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import BlockPair, Finisher
        >>> class KeepSilence(Finisher):
        ...     '''Silence of the damaged recording stays silent.'''
        ...     def finish(self, blocks, first=0):
        ...         for restored, damaged in blocks:
        ...             yield BlockPair(restored.masked_fill(damaged == 0, 0), damaged)
        >>> pair = BlockPair(torch.ones(1, 2), torch.tensor([[0.0, 0.5]]))
        >>> next(KeepSilence().finish([pair])).restored
        tensor([[0., 1.]])
    """

    held_s: float = 0.0

    @abstractmethod
    def finish(self, blocks: Iterable[BlockPair], first: int = 0) -> Iterator[BlockPair]:
        """Yield the finished pairs.

        Args:
            blocks: consecutive pairs that begin at sample ``first`` of the recording.
            first: a sample that :meth:`needed_from` returned.

        Yields:
            Consecutive pairs in blocks of any size, of the same total length. The damaged samples
            are unchanged.
        """

    def needed_from(self, sample: int) -> int:
        """Return the first sample that is needed to finish the recording from ``sample`` on."""
        return sample
