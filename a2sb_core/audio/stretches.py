"""Stretches of time in seconds: their sample ranges, and silence in their place."""

from __future__ import annotations

import math

from torch import Tensor

Stretches = tuple[tuple[float, float], ...]
"""Stretches (start, end) of time, in seconds."""


def sample_ranges(stretches: Stretches, sample_rate: int) -> list[tuple[int, int]]:
    """Return the ranges (first, end) of the samples that the stretches touch."""
    return [
        (math.floor(start * sample_rate), math.ceil(end * sample_rate)) for start, end in stretches
    ]


def blank(wave: Tensor, stretches: Stretches | None, sample_rate: int, first: int = 0) -> Tensor:
    """Set the samples of stretches to zero.

    Args:
        wave: audio (C, n), the samples of a recording from ``first`` on.
        stretches: stretches in seconds from the start of the recording.
        sample_rate: sample rate in Hz.
        first: index of the first sample of ``wave``.

    Returns:
        ``wave`` itself if no stretch overlaps it, else a copy.
    """
    blanked = wave
    for start, stop in sample_ranges(stretches or (), sample_rate):
        if start < first + wave.shape[-1] and stop > first:
            blanked = wave.clone() if blanked is wave else blanked
            blanked[:, max(0, start - first) : stop - first] = 0
    return blanked
