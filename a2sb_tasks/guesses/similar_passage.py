"""Guess of the content of a gap: the most similar passages of the same recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Guess, Item, Stretches, sample_ranges
from a2sb_tasks.guesses.linear_prediction import LinearPrediction

Array = npt.NDArray[np.float64]
Known = npt.NDArray[np.bool_]

FADE_S = 0.05
"""Seconds at each end of a gap in which linear prediction turns into the passage."""
PASSAGES = 3
"""Largest number of passages whose mean is taken."""
LARGEST_GAIN = 4.0
"""Most by which a passage is raised."""


class SimilarPassage(Guess):
    """Copies the passages whose surroundings correlate most with those of the gap.

    Music repeats itself, so that such a passage often has the notes that are lost. Up to three
    passages are brought to the level of the surroundings, and their mean is weighted by the square
    of their correlation. Near the edges, and where no passage is similar, tones are continued by
    linear prediction.
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
                gap, part = (start, stop), filled[:, start:stop]
                linear = part.double().cpu().numpy()
                joined = with_passage(linear, wave, known, gap, rate, self.config.reach_s)
                part.copy_(torch.from_numpy(joined))
        return representation.encode(filled)[..., : item.z.shape[-1]]


def with_passage(
    linear: Array, wave: Array, known: Known, gap: tuple[int, int], sample_rate: int, reach_s: float
) -> Array:
    """Return the content of a gap: linear prediction that turns into the most similar passages.

    Args:
        linear: content of the gap by linear prediction, (C, stop - start).
        wave: channels of the recording (C, T).
        known: True for samples that are not lost, (T,).
        gap: first sample of the gap, and the sample after its last one.
        sample_rate: sample rate in Hz.
        reach_s: seconds before and after the gap in which passages are searched.
    """
    from a2sb_tasks.guesses.passages import find_passages  # takes long to import

    (start, stop), reach = gap, round(reach_s * sample_rate)
    low, high = max(0, start - reach), stop + reach
    place = start - low, stop - low
    found = find_passages(wave[:, low:high], known[low:high], place, sample_rate, PASSAGES)
    if not found:
        return linear
    passage, length = np.zeros_like(linear), stop - start
    for one in found:
        share = one.correlation**2 / sum(other.correlation**2 for other in found)
        first = low + one.start
        passage += share * min(one.gain, LARGEST_GAIN) * wave[:, first : first + length]
    fade = max(1, min(round(FADE_S * sample_rate), length // 2))
    near = np.arange(length) + 0.5
    reached = np.minimum(np.minimum(near, length - near) / fade, 1)
    weight = 0.5 - 0.5 * np.cos(np.pi * reached)
    return np.asarray(linear + weight * (passage - linear))
