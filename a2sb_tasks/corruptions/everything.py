"""Everything is missing: the corruption of unconditional models."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption, Recording


class Everything(MaskCorruption["Everything.Parameters"]):
    """All rows and frames are missing, so that the model generates music."""

    task = "everything"

    class Config(MaskCorruption.Config):
        """Settings of the noise in place of all content."""

        name: str = "everything"

    class Parameters(FrozenConfig):
        """The damage has no parameters."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Return the parameters without drawing anything."""
        return self.Parameters()

    def missing(self, grid: Grid, parameters: Parameters) -> Tensor:
        """Return a tensor (F, W) that is True everywhere."""
        return torch.ones(grid.shape, dtype=torch.bool)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters:
        """Treat everything as missing."""
        return self.Parameters()
