"""Guess of the content of a gap: the most similar passage of the same recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Guess, Item, Stretches, sample_ranges
from a2sb_tasks.guesses.linear_prediction import LinearPrediction

FADE_S = 0.05
"""Seconds at each end of a gap in which linear prediction turns into the passage."""
LARGEST_GAIN = 4.0
"""Most by which a passage is raised."""


class SimilarPassage(Guess):
    """Copies the passage whose surroundings correlate most with those of the gap.

    Music repeats itself, so that such a passage often has the notes that are lost. It is brought to
    the level of the surroundings. Near the edges, and where no passage is similar, tones are
    continued by linear prediction.
    """

    class Config(ComponentConfig):
        """Limits of the search."""

        name: str = "similar_passage"
        reach_s: FiniteFloat = Field(8.0, gt=0, le=600)
        """Seconds before and after a gap in which passages are searched."""
        longest_s: FiniteFloat = Field(2.0, gt=0, le=60)
        """Longest gap in seconds that is filled with a passage."""

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.prediction = LinearPrediction(LinearPrediction.Config())
        self.context_s = max(config.reach_s + config.longest_s, self.prediction.context_s)

    def guess(self, item: Item, missing: Tensor, lost: Stretches) -> Tensor:
        """Return the encoding of the audio with its gaps filled."""
        representation = item.representation
        rate, first = representation.sample_rate, item.start * representation.stride
        filled = self.prediction.filled(item, lost)
        wave = item.wave.double().cpu().numpy()
        ranges = [(start - first, stop - first) for start, stop in sample_ranges(lost, rate)]
        known = np.ones(wave.shape[-1], dtype=bool)
        for start, stop in ranges:
            known[max(0, start) : max(0, stop)] = False
        for start, stop in ranges:
            if stop - start > self.config.longest_s * rate or start < 0 or stop > wave.shape[-1]:
                continue
            if self.prediction.uses(item, start, stop):
                passage = self._passage(wave, known, start, stop, rate)
                if passage is not None:
                    _fade_in(filled[:, start:stop], passage, round(FADE_S * rate))
        return representation.encode(filled)[..., : item.z.shape[-1]]

    def _passage(
        self,
        wave: npt.NDArray[np.float64],
        known: npt.NDArray[np.bool_],
        start: int,
        stop: int,
        sample_rate: int,
    ) -> npt.NDArray[np.float64] | None:
        """Return the samples (C, stop - start) of the most similar passage within reach."""
        from a2sb_tasks.guesses.passages import find_passage  # takes long to import

        reach = round(self.config.reach_s * sample_rate)
        low, high = max(0, start - reach), stop + reach
        gap = start - low, stop - low
        found = find_passage(wave[:, low:high], known[low:high], gap, sample_rate)
        if found is None:
            return None
        part = wave[:, low + found.start : low + found.start + stop - start]
        return part * min(found.gain, LARGEST_GAIN)


def _fade_in(filled: Tensor, passage: npt.NDArray[np.float64], fade: int) -> None:
    """Replace samples (C, n) by a passage, with a fade at both ends, in place."""
    length = filled.shape[-1]
    fade = max(1, min(fade, length // 2))
    near = torch.arange(length, device=filled.device)
    share = torch.minimum(near + 0.5, length - 0.5 - near).div(fade).clamp(max=1)
    weight = (0.5 - 0.5 * torch.cos(torch.pi * share)).to(filled)
    filled += weight * (torch.from_numpy(passage).to(filled) - filled)
