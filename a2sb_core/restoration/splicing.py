"""Splicing of restored content into the input, whose other samples are unchanged."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.audio.stretches import Stretches, sample_ranges

FADE_S = 0.008  # crossfade beside a gap: long enough to avoid clicks, short enough to keep input


def change_weight(
    stretches: Stretches | None, sample_rate: int, length: int, first: int = 0
) -> Tensor | None:
    """Return the weight of the change of each sample.

    It is 1 in a damaged stretch and fades to 0 beside it.

    Returns:
        Weights in [0, 1] of samples ``first`` to ``first + length``, exactly 0 away from the
        stretches; None if all samples may change.
    """
    if stretches is None:
        return None
    weight = torch.zeros(length)
    fade = fade_samples(sample_rate)
    for start, stop in sample_ranges(stretches, sample_rate):
        low, high = max(start - fade, first), min(stop + fade, first + length)
        if low >= high:
            continue
        place = torch.arange(low, high)
        away = torch.maximum(start - place, place - (stop - 1)).clamp(min=0)
        ramp = 0.5 + 0.5 * torch.cos(math.pi * away / (fade + 1))
        part = weight[low - first : high - first]
        part.copy_(torch.maximum(part, ramp))
    return weight


def is_touched(stretches: Stretches | None, sample_rate: int, length: int, first: int = 0) -> bool:
    """Return whether a sample from ``first`` to ``first + length`` has a weight above 0."""
    if stretches is None:
        return True
    fade = fade_samples(sample_rate)
    return any(
        start - fade < first + length and stop + fade > first
        for start, stop in sample_ranges(stretches, sample_rate)
    )


def spliced(
    base: Tensor, change: Tensor, stretches: Stretches | None, sample_rate: int, first: int
) -> Tensor:
    """Add a change (C, n) to ``base``, the samples of the input from ``first`` on.

    If no stretch overlaps these samples, the result is ``base`` itself.
    """
    if not is_touched(stretches, sample_rate, base.shape[-1], first):
        return base
    weight = change_weight(stretches, sample_rate, base.shape[-1], first)
    if weight is None:
        return base + change
    return torch.where(weight > 0, base + change * weight, base)


def fade_samples(sample_rate: int) -> int:
    """Return the length of the crossfade beside a gap, in samples."""
    return max(1, round(FADE_S * sample_rate))
