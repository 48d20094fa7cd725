"""Clipping: peaks are cut off at a level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    BlockPair,
    ComponentConfig,
    Differentiable,
    Finisher,
    FrozenConfig,
    Noise,
    Recording,
    WaveformCorruption,
)
from a2sb_tasks.corruptions.drawing import ascending

TOLERANCE = 1e-3  # relative: a sample this close to the level counts as clipped
RUN = 8  # fewer pairs of adjacent samples at the peak are not clipping


class Declip(Differentiable, WaveformCorruption["Declip.Parameters"]):
    """Clips every sample at a level below the peak of the item, like an overdriven input.

    Samples below the level are unchanged in the result, and clipped samples do not become smaller.
    """

    task = "declip"
    label = "Declip"
    used = ("levels",)

    class Config(ComponentConfig):
        """Range from which training draws the drive uniformly."""

        name: str = "declip"
        low_db: float = Field(3.0, ge=0)
        """Lowest drive, in dB."""
        high_db: float = Field(18.0, ge=0)
        """Highest drive, in dB."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_db", "high_db")

    class Parameters(FrozenConfig):
        """Drive and levels of the clipping; a restoration does not need the drive."""

        drive_db: float | None = Field(None, ge=0)
        """Distance between the peak and the level of clipping, in dB."""
        levels: tuple[float, ...] | None = None
        """Level of clipping of each channel, full scale 1 (default: its peak)."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Range of the drive."""
        return {"drive_db": (self.config.low_db, self.config.high_db)}

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Clip audio (B, T), each item at its own level."""
        return self.forward(wave, parameters, sample_rate)

    def forward(self, wave: Tensor, parameters: Parameters, sample_rate: int) -> Tensor:
        """Clip audio (C, T) at the levels of its channels, or by the drive below its peaks."""
        if parameters.levels is not None:
            level = wave.new_tensor(parameters.levels)[:, None]
        else:
            peak = wave.abs().amax(dim=-1, keepdim=True)
            level = peak * 10 ** (-(parameters.drive_db or 0.0) / 20)
        return wave.clamp(-level, level)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters | None:
        """Find channels that repeatedly stay at their peak.

        Returns:
            The parameters, with the peaks as levels if no levels are given; None if no channel is
            clipped.
        """
        if given is not None and given.levels is not None:
            return given
        peak, pairs = _peaks(recording.blocks())
        if given is None and not bool((pairs >= RUN).any()):
            return None
        known = given or self.observed()
        return known.model_copy(update={"levels": tuple(peak.tolist())})

    def finisher(self, parameters: Parameters, sample_rate: int) -> Finisher | None:
        """Keep the samples that were not clipped, and never reduce the others."""
        return None if parameters.levels is None else _KeepUncut(parameters.levels)


class _KeepUncut(Finisher):
    """Restores the samples below the level of their channel."""

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels

    def finish(self, blocks: Iterable[BlockPair], first: int = 0) -> Iterator[BlockPair]:
        """Finish each sample independently."""
        for restored, damaged in blocks:
            level = damaged.new_tensor(self.levels)[:, None]
            size = damaged.abs()
            larger = torch.copysign(torch.maximum(restored * damaged.sign(), size), damaged)
            is_cut = (size >= level * (1 - TOLERANCE)) & (level > 0)
            yield BlockPair(torch.where(is_cut, larger, damaged), damaged)


def _peaks(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the peak of each channel and its number of adjacent pairs at the peak, both (C,)."""
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
