"""Wow and flutter: the speed of a tape or record varies periodically."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption


class WowFlutter(WaveformCorruption):
    """Plays audio at a speed of 1 + depth cos(2 pi rate t)."""

    task = "steady"
    label = "Remove wow and flutter"
    ranges: ClassVar = {"depth": (0.0005, 0.01), "rate_hz": (0.5, 12.0)}

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "wow_flutter"

    class Parameters(FrozenConfig):
        """Variation of the speed, which a restoration need not know."""

        depth: float = Field(ge=0, le=0.1)
        """Largest deviation of the speed, as a share of it."""
        rate_hz: float = Field(gt=0)
        """Frequency of the variation, in Hz."""

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Read audio (B, T) at the varying speed, by cubic interpolation."""
        place = torch.arange(wave.shape[-1], dtype=torch.float64)
        angle = 2 * math.pi * parameters.rate_hz / sample_rate
        place = (place + parameters.depth / angle * (angle * place).sin()).clamp(0, len(place) - 1)
        first = place.floor().long()
        u = (place - first).to(wave)
        a, b, c, d = (wave[:, (first + k).clamp(0, len(place) - 1)] for k in (-1, 0, 1, 2))
        slope, bend = (c - a) / 2, a - 2.5 * b + 2 * c - d / 2
        return b + u * (slope + u * (bend + u * ((d - a) / 2 + 1.5 * (b - c))))
