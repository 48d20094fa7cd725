"""Putting restored content into the input: what was not missing stays the input's own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.interfaces.corruption import Stretches

FADE_S = 0.008  # crossfade beside a gap: long enough for no click, short enough to keep the input


def blank(wave: Tensor, stretches: Stretches | None, sample_rate: int) -> Tensor:
    """Return a copy of (C, T) with the damaged stretches set to zero."""
    wave = wave.clone()
    for start, stop in _samples(stretches or (), sample_rate, wave.shape[-1]):
        wave[:, start:stop] = 0
    return wave


def change_weight(stretches: Stretches | None, sample_rate: int, length: int) -> Tensor | None:
    """How much of a change each sample takes: 1 in a damaged stretch, fading to 0 beside it.

    Returns:
        (length,) weights in [0, 1], exactly 0 away from the stretches; None where all may change.
    """
    if stretches is None:
        return None
    weight = torch.zeros(length)
    fade = max(1, round(FADE_S * sample_rate))
    ramp = 0.5 + 0.5 * torch.cos(math.pi * torch.arange(1, fade + 1) / (fade + 1))
    for start, stop in _samples(stretches, sample_rate, length):
        weight[start:stop] = 1
        after = weight[stop : stop + fade]
        after.copy_(torch.maximum(after, ramp[: len(after)]))
        before = weight[max(0, start - fade) : start]
        before.copy_(torch.maximum(before, ramp[: len(before)].flip(0)))
    return weight


def _samples(
    stretches: Stretches, sample_rate: int, length: int
) -> list[tuple[int, int]]:
    """Sample ranges that cover the stretches."""
    return [
        (math.floor(start * sample_rate), min(length, math.ceil(end * sample_rate)))
        for start, end in stretches
    ]
