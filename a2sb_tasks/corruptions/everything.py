"""Nothing is known: what an unconditional model is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption


class Everything(MaskCorruption):
    """All rows and frames are missing, so that the model makes music of its own."""

    task = "everything"

    class Config(MaskCorruption.Config):
        """The noise in place of all."""

        name: str = "everything"

    class Parameters(FrozenConfig):
        """There is nothing to say."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw nothing."""
        return self.Parameters()

    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Return a (F, W) of True."""
        return torch.ones(grid.shape, dtype=torch.bool)

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Parameters:
        """Take everything as missing."""
        return self.Parameters()
