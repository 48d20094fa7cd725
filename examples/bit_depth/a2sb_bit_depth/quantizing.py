"""Bit depth: samples are rounded to few bits."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption


class BitDepth(WaveformCorruption):
    """Rounds samples to ``bits`` bits, with full scale at the peak of each item."""

    task = "requantize"
    label = "Restore bit depth"
    ranges: ClassVar = {"bits": (3, 12)}

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "bit_depth"

    class Parameters(FrozenConfig):
        """Depth of the audio, which a restoration need not know."""

        bits: int = Field(ge=2, le=24)
        """Number of bits per sample."""

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Round audio (B, T)."""
        step = wave.abs().amax(dim=-1, keepdim=True).clamp(min=1e-9) / 2 ** (parameters.bits - 1)
        return (wave / step).round() * step
