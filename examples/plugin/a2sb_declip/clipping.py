"""Clipping: peaks cut off at a level."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption


class Clipping(WaveformCorruption):
    """Cuts every sample at ``drive_db`` below the item's peak."""

    task = "declip"
    ranges: ClassVar = {"drive_db": (3.0, 18.0)}

    class Config(ComponentConfig):
        """No settings."""

        name: str = "clipping"

    class Parameters(FrozenConfig):
        """The damage; restoring does not need to know it."""

        drive_db: float | None = None
        """How far below the peak is cut."""

    def apply(
        self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int
    ) -> Tensor:
        """Clip audio (B, T)."""
        peak = wave.abs().amax(dim=-1, keepdim=True)
        level = peak * 10 ** (-(parameters.drive_db or 0.0) / 20)
        return wave.clamp(-level, level)
