"""Clipping: peaks cut off at a level."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, uniform

TOLERANCE = 1e-3  # relative: a sample this close to the level has been cut
RUN = 8  # fewer pairs of neighbours at the peak are no clipping


class Declip(WaveformCorruption):
    """Cuts every sample at a level below the item's peak, as an input driven too hard does.

    Samples below the level were not cut: in the result they stay what they are, and those that were
    cut do not come out smaller.
    """

    task = "declip"
    looks_at_original = True

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
        levels: tuple[float, ...] | None = None
        """Where each channel is cut, full scale 1; its peak where not given."""

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

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Parameters | None:
        """Find channels whose samples stay at their peak again and again; None: there is none."""
        peak, pairs = _peaks(blocks)
        if not bool((pairs >= RUN).any()):
            return None
        return self.Parameters(levels=tuple(peak.tolist()))

    def settle(self, parameters: Any, blocks: Iterable[Tensor], sample_rate: int) -> Any:
        """Take the peaks as levels where none are given."""
        if parameters.levels is not None:
            return parameters
        return parameters.model_copy(update={"levels": tuple(_peaks(blocks)[0].tolist())})

    def reconcile(self, restored: Tensor, damaged: Tensor, parameters: Any) -> Tensor:
        """Keep the samples that were not cut; those that were are at least as large."""
        if parameters.levels is None:
            return restored
        level = damaged.new_tensor(parameters.levels)[:, None]
        size = damaged.abs()
        larger = torch.copysign(torch.maximum(restored * damaged.sign(), size), damaged)
        return torch.where((size >= level * (1 - TOLERANCE)) & (level > 0), larger, damaged)


def _peaks(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the peak of each channel and how many pairs of neighbours lie there, both (C,)."""
    peak, pairs = torch.zeros(0), torch.zeros(0)
    for block in blocks:
        size = block.abs()
        if not len(peak):
            peak, pairs = size.new_zeros(len(size)), torch.zeros(len(size))
        higher = torch.maximum(peak, size.amax(dim=-1))
        pairs = torch.where(higher * (1 - TOLERANCE) > peak, 0, pairs)
        at_peak = (size >= higher[:, None] * (1 - TOLERANCE)) & (higher[:, None] > 0)
        pairs = pairs + (at_peak[:, 1:] & at_peak[:, :-1]).sum(dim=-1)
        peak = higher
    return peak, pairs
