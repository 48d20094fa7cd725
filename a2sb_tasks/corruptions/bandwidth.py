"""Bandwidth limitation: every row from the cutoff up is missing."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption, TaskError, detect_cutoff


class Bandwidth(MaskCorruption):
    """Bandwidth extension as masking: M = 1 for rows at and above the cutoff, section 3.2."""

    task = "bandwidth"

    class Config(MaskCorruption.Config):
        """Training draws the cutoff uniformly between ``low_hz`` and ``high_hz``."""

        name: str = "bandwidth"
        low_hz: float = Field(2000.0, gt=0)
        high_hz: float = Field(16000.0, gt=0)

    class Parameters(FrozenConfig):
        """``cutoff_hz``: the highest frequency that the audio holds."""

        cutoff_hz: float = Field(gt=0)

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a cutoff."""
        low, high = self.config.low_hz, self.config.high_hz
        u = float(torch.rand((), generator=generator))
        return self.Parameters(cutoff_hz=low + (high - low) * u)

    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Mark the rows at and above the cutoff."""
        cutoff_hz: float = parameters.cutoff_hz
        return (grid.freqs_hz >= cutoff_hz)[:, None].expand(grid.shape)

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse a cutoff that the sample rate can not hold."""
        if parameters.cutoff_hz >= sample_rate / 2:
            raise TaskError(
                f"the cutoff {parameters.cutoff_hz:g} Hz is not below half the sample rate "
                f"({sample_rate / 2:g} Hz): there is nothing above it to extend"
            )

    def detect(self, wave: Tensor, sample_rate: int) -> Any | None:
        """Find the knee where energy ends; None where the audio is full band."""
        found = detect_cutoff(wave, sample_rate).cutoff_hz
        return None if found is None else self.Parameters(cutoff_hz=found)
