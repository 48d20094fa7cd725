"""Clipping: peaks cut off at a level."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption


class Clipping(WaveformCorruption):
    """Cuts every sample at ``drive_db`` below the item's peak."""

    task = "declip"

    class Config(ComponentConfig):
        """Training draws the drive uniformly."""

        name: str = "clipping"
        low_db: float = Field(3.0, ge=0)
        """Lowest drive drawn."""
        high_db: float = Field(18.0, gt=0)
        """Highest drive drawn."""

    class Parameters(FrozenConfig):
        """The damage; restoring does not need to know it."""

        drive_db: float | None = None
        """How far below the peak is cut."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a drive."""
        u = float(torch.rand((), generator=generator))
        low, high = self.config.low_db, self.config.high_db
        return self.Parameters(drive_db=low + (high - low) * u)

    def apply(
        self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int
    ) -> Tensor:
        """Clip audio (B, T)."""
        peak = wave.abs().amax(dim=-1, keepdim=True)
        level = peak * 10 ** (-(parameters.drive_db or 0.0) / 20)
        return wave.clamp(-level, level)
