"""What the baselines that fill gaps share: where the gaps are, in samples."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from a2sb_core.interfaces import AudioRestorer, TaskError

Array = npt.NDArray[np.float64]


class GapFiller(AudioRestorer):
    """Base: calls :meth:`fill` for one gap of one channel after the other, from left to right."""

    @abstractmethod
    def fill(self, wave: Array, start: int, stop: int, end: int) -> Array:
        """Return samples ``start`` to ``stop`` of a channel (T,).

        What stands before ``start`` is known, or filled already; ``end`` is where the next gap
        begins, or T.
        """

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Fill the gaps ``gaps_s`` of (C, T) audio; all other samples stay as they are."""
        if task != "inpaint" or "gaps_s" not in parameters:
            raise TaskError(f"{self.config.name} does the task `inpaint`, given gaps_s")
        restored = wave.clone()
        gaps = gap_samples(parameters["gaps_s"], sample_rate, wave.shape[-1])
        end_of_all = (wave.shape[-1], wave.shape[-1])
        for channel in restored:
            filled = channel.double().numpy().copy()
            following = itertools.zip_longest(gaps, gaps[1:], fillvalue=end_of_all)
            for (start, stop), (end, _) in following:
                filled[start:stop] = 0
                filled[start:stop] = self.fill(filled, start, stop, end)
                channel[start:stop] = torch.from_numpy(filled[start:stop]).to(channel)
        return restored


def gap_samples(gaps_s: Any, sample_rate: int, length: int) -> list[tuple[int, int]]:
    """Return ranges of samples that cover the gaps, in order, joined where they touch."""
    ranges: list[tuple[int, int]] = []
    for start_s, end_s in sorted(gaps_s):
        start = max(0, int(np.floor(start_s * sample_rate)))
        stop = min(length, int(np.ceil(end_s * sample_rate)))
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(stop, ranges[-1][1])
        elif start < stop:
            ranges.append((start, stop))
    return ranges
