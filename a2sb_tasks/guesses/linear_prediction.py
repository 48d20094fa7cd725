"""Guess of the content of a gap: linear prediction from both sides."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Guess, Item, Stretches, sample_ranges


class LinearPrediction(Guess):
    """Continues tones into a gap; long gaps are silent in the middle."""

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "linear_prediction"

    context_s = 1.0  # the longest gap that is interpolated, and its context on the other side

    def guess(self, item: Item, missing: Tensor, lost: Stretches) -> Tensor:
        """Return the encoding of the audio with its gaps filled."""
        return item.representation.encode(self.filled(item, lost))[..., : item.z.shape[-1]]

    def filled(self, item: Item, lost: Stretches) -> Tensor:
        """Return the audio of an item with the gaps filled that its used frames touch."""
        from a2sb_tasks.guesses.interpolation import fill_gap  # takes long to import

        representation = item.representation
        rate, stride = representation.sample_rate, representation.stride
        first, size = item.start * stride, item.wave.shape[-1]
        gaps = [(start - first, stop - first) for start, stop in sample_ranges(lost, rate)]
        filled = item.wave.clone()
        for number, (start, stop) in enumerate(gaps):
            if not self.uses(item, start, stop):
                continue
            before = gaps[number - 1][1] if number else 0
            after = gaps[number + 1][0] if number + 1 < len(gaps) else size
            for channel, wave in enumerate(item.wave):
                known = wave.double().cpu().numpy()
                left = known[max(0, before) : max(0, start)]
                right = known[max(0, stop) : max(0, after)]
                fill = fill_gap(left, right, stop - start, rate)
                inside = slice(max(0, start), min(stop, size))
                part = fill[inside.start - start : inside.stop - start]
                filled[channel, inside] = torch.from_numpy(np.ascontiguousarray(part)).to(wave)
        return filled

    def uses(self, item: Item, start: int, stop: int) -> bool:
        """Whether a gap from sample ``start`` to ``stop`` of an item touches its used frames."""
        stride, context = item.representation.stride, item.representation.context
        used = item.used or (0, item.z.shape[-1])
        low, high = used[0] * stride - context, used[1] * stride + context
        return start < min(high, item.wave.shape[-1]) and stop > max(low, 0)
