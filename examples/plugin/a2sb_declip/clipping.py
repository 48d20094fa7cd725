"""Clipping: peaks are cut off at a level."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption


class Clipping(WaveformCorruption):
    """Clips every sample at ``drive_db`` below the peak of the item."""

    task = "declip"
    ranges: ClassVar = {"drive_db": (3.0, 18.0)}

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "clipping"

    class Parameters(FrozenConfig):
        """Drive of the clipping, which a restoration does not need."""

        drive_db: float | None = None
        """Distance between the peak and the level of clipping, in dB."""

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Clip audio (B, T)."""
        peak = wave.abs().amax(dim=-1, keepdim=True)
        level = peak * 10 ** (-(parameters.drive_db or 0.0) / 20)
        return wave.clamp(-level, level)
