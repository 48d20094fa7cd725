"""Finishers of several corruptions, applied in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from a2sb_core.interfaces import BlockPair, Finisher, SampleQueue, Stretches, sample_ranges


class FinisherSequence(Finisher):
    """Applies finishers in turn."""

    def __init__(self, finishers: Sequence[Finisher]) -> None:
        self.finishers = finishers
        self.held_s = sum(finisher.held_s for finisher in finishers)

    def finish(self, blocks: Iterable[BlockPair], first: int = 0) -> Iterator[BlockPair]:
        """Pass the pairs from one finisher to the next."""
        pairs: Iterable[BlockPair] = blocks
        for finisher in self.finishers:
            pairs = finisher.finish(pairs, first)
        yield from pairs

    def needed_from(self, sample: int) -> int:
        """Return the first sample that all finishers together need."""
        for finisher in reversed(self.finishers):
            sample = finisher.needed_from(sample)
        return sample


class Beside(Finisher):
    """The finisher of one damage for a recording that has other damage as well.

    In stretches with other damage, the damaged samples are not evidence of this damage alone, so
    the finisher receives the restored samples in their place.

    Args:
        inner: the finisher of one damage.
        stretches: stretches in seconds with other damage; None if it may be anywhere.
        sample_rate: sample rate in Hz.
    """

    def __init__(self, inner: Finisher, stretches: Stretches | None, sample_rate: int) -> None:
        self.inner, self.stretches, self.sample_rate = inner, stretches, sample_rate
        self.held_s = inner.held_s

    def finish(self, blocks: Iterable[BlockPair], first: int = 0) -> Iterator[BlockPair]:
        """Run the inner finisher with restored samples in the stretches."""
        damaged = SampleQueue()

        def seen() -> Iterator[BlockPair]:
            start = first
            for pair in blocks:
                damaged.append(pair.damaged)
                yield self._seen(pair, start)
                start += pair.restored.shape[-1]

        for pair in self.inner.finish(seen(), first):
            yield BlockPair(pair.restored, damaged.take(pair.restored.shape[-1]))

    def needed_from(self, sample: int) -> int:
        """Return the first sample that the inner finisher needs."""
        return self.inner.needed_from(sample)

    def _seen(self, pair: BlockPair, first: int) -> BlockPair:
        if self.stretches is None:
            return BlockPair(pair.restored, pair.restored)
        other = torch.zeros(pair.restored.shape[-1], dtype=torch.bool)
        for start, stop in sample_ranges(self.stretches, self.sample_rate):
            other[max(0, start - first) : max(0, stop - first)] = True
        return BlockPair(pair.restored, torch.where(other, pair.restored, pair.damaged))
