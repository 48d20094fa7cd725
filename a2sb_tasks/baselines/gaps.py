"""Base class of the baselines that fill gaps, and the gaps in samples."""

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
    """Base class that calls :meth:`fill` for each gap of each channel, in order of time."""

    @abstractmethod
    def fill(self, wave: Array, start: int, stop: int, end: int) -> Array:
        """Return samples ``start`` to ``stop`` of a channel (T,).

        The samples before ``start`` are known or already filled. ``end`` is the start of the next
        gap, or T.
        """

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Fill the gaps ``gaps_s`` of (C, T) audio; all other samples are unchanged.

        Raises:
            TaskError: the task is not `inpaint`, or ``gaps_s`` is missing.
        """
        if task != "inpaint" or "gaps_s" not in parameters:
            raise TaskError(
                f"{self.config.name} supports only the task `inpaint`, and needs gaps_s"
            )
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
    """Return the sample ranges of the gaps, in order; adjacent ranges are joined."""
    ranges: list[tuple[int, int]] = []
    for start_s, end_s in sorted(gaps_s):
        start = max(0, int(np.floor(start_s * sample_rate)))
        stop = min(length, int(np.ceil(end_s * sample_rate)))
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(stop, ranges[-1][1])
        elif start < stop:
            ranges.append((start, stop))
    return ranges
