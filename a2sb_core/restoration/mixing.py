"""Mixing of a restored recording with its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from a2sb_core.audio.resampling import StreamResampler
from a2sb_core.restoration.pieces import Buffer


class KeptInput:
    """The blocks (C, n) of a recording, kept while they are restored, to be mixed in later.

    Args:
        source: the blocks; NaN, which marks lost samples, is mixed in as silence.
        from_rate: sample rate of the blocks, in Hz.
        to_rate: sample rate of the restored audio, in Hz.
    """

    def __init__(self, source: Iterable[Tensor], from_rate: int, to_rate: int) -> None:
        self.source, self.from_rate, self.to_rate = source, from_rate, to_rate
        self._kept = Buffer()

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the blocks; each is kept before it is passed on."""
        resampler = None
        for block in self.source:
            own = torch.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            if self.from_rate != self.to_rate:
                resampler = resampler or StreamResampler(self.from_rate, self.to_rate, len(own))
                own = torch.from_numpy(resampler.push(own))
            self._kept.append(own)
            yield block
        if resampler is not None:
            self._kept.append(torch.from_numpy(resampler.finish()))

    def mixed(self, blocks: Iterable[Tensor], gain: float, first: int) -> Iterator[Tensor]:
        """Yield restored blocks, from sample ``first`` on, with their change times ``gain``."""
        for block in blocks:
            last = first + block.shape[-1]
            if last > first:
                self._kept.drop(first)
                own = self._kept.read(first, last)
                yield own + gain * (block - own)
            first = last
