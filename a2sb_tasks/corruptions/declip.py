"""Clipping: peaks cut off at a level."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, uniform


class Declip(WaveformCorruption):
    """Cuts every sample at a level below the item's peak, as an input driven too hard does."""

    task = "declip"

    class Config(ComponentConfig):
        """Training draws the drive uniformly."""

        name: str = "declip"
        low_db: float = Field(3.0, ge=0)
        """Lowest drive drawn."""
        high_db: float = Field(18.0, ge=0)
        """Highest drive drawn."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_db", "high_db")

    class Parameters(FrozenConfig):
        """How hard is clipped; to restore, it need not be known."""

        drive_db: float | None = Field(None, ge=0)
        """How far below the peak is cut."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a drive."""
        return self.Parameters(
            drive_db=uniform(self.config.low_db, self.config.high_db, generator)
        )

    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Clip audio (B, T), each item at its own level."""
        peak = wave.abs().amax(dim=-1, keepdim=True)
        level = peak * 10 ** (-(parameters.drive_db or 0.0) / 20)
        return wave.clamp(-level, level)
