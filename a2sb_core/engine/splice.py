"""Putting restored content into the input: what was not missing stays the input's own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.interfaces.corruption import Stretches

FADE_S = 0.008  # crossfade beside a gap: long enough for no click, short enough to keep the input


def blank(wave: Tensor, stretches: Stretches | None, sample_rate: int, first: int = 0) -> Tensor:
    """Return (C, n), which starts at ``first``, with the damaged stretches set to zero.

    Where there are none it is ``wave`` itself, else a copy.
    """
    blanked = wave
    for start, stop in _samples(stretches or (), sample_rate):
        if start < first + wave.shape[-1] and stop > first:
            blanked = wave.clone() if blanked is wave else blanked
            blanked[:, max(0, start - first) : stop - first] = 0
    return blanked


def change_weight(
    stretches: Stretches | None, sample_rate: int, length: int, first: int = 0
) -> Tensor | None:
    """How much of a change each sample takes: 1 in a damaged stretch, fading to 0 beside it.

    Returns:
        weights in [0, 1] of samples ``first`` to ``first + length``, exactly 0 away from the
        stretches; None where all may change.
    """
    if stretches is None:
        return None
    weight = torch.zeros(length)
    fade = _fade(sample_rate)
    for start, stop in _samples(stretches, sample_rate):
        low, high = max(start - fade, first), min(stop + fade, first + length)
        if low >= high:
            continue
        place = torch.arange(low, high)
        away = torch.maximum(start - place, place - (stop - 1)).clamp(min=0)
        ramp = 0.5 + 0.5 * torch.cos(math.pi * away / (fade + 1))
        part = weight[low - first : high - first]
        part.copy_(torch.maximum(part, ramp))
    return weight


def is_touched(
    stretches: Stretches | None, sample_rate: int, length: int, first: int = 0
) -> bool:
    """Whether any of the samples ``first`` to ``first + length`` has a weight above 0."""
    if stretches is None:
        return True
    fade = _fade(sample_rate)
    return any(
        start - fade < first + length and stop + fade > first
        for start, stop in _samples(stretches, sample_rate)
    )


def spliced(
    base: Tensor, change: Tensor, stretches: Stretches | None, sample_rate: int, first: int
) -> Tensor:
    """Add a change (C, n) to samples ``first`` and following of the input, where it may.

    Where it may nowhere, the result is ``base`` itself.
    """
    if not is_touched(stretches, sample_rate, base.shape[-1], first):
        return base
    weight = change_weight(stretches, sample_rate, base.shape[-1], first)
    if weight is None:
        return base + change
    return torch.where(weight > 0, base + change * weight, base)


def _fade(sample_rate: int) -> int:
    return max(1, round(FADE_S * sample_rate))


def _samples(stretches: Stretches, sample_rate: int) -> list[tuple[int, int]]:
    """Sample ranges that cover the stretches."""
    return [
        (math.floor(start * sample_rate), math.ceil(end * sample_rate)) for start, end in stretches
    ]
