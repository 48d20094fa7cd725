"""An edge of the recording is missing: music is continued beyond what there is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from a2sb_core.interfaces import TaskError
from a2sb_tasks.corruptions.drawing import uniform
from a2sb_tasks.corruptions.inpainting import Inpainting


class Continuation(Inpainting):
    """Inpainting of a gap that has music on one side only: the start or the end of the audio.

    Silence is what there is to fill: who wants more music pads the recording with silence, which
    :meth:`detect` finds by itself.
    """

    task = "continuation"

    SILENT = 1e-5  # below the last bit of 16; resampling leaves no exact zeros
    SHORTEST_S = 0.05  # many recordings begin with some milliseconds of silence

    class Config(Inpainting.Config):
        """Training draws ``low_s`` to ``high_s`` seconds at an edge."""

        name: str = "continuation"
        sides: Literal["start", "end", "both"] = "both"
        """Edges that are drawn."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Inpainting.Parameters:
        """Draw a side and a length; in short items it takes at most 70 % of the time."""
        high = min(self.config.high_s, 0.7 * duration_s)
        seconds = uniform(min(self.config.low_s, high), high, generator)
        side = self.config.sides
        if side == "both":
            side = "start" if uniform(0, 1, generator) < 0.5 else "end"
        start = 0.0 if side == "start" else duration_s - seconds
        return self.Parameters(gaps_s=((start, start + seconds),))

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse gaps that do not reach an edge of the audio."""
        super().check(parameters, duration_s, sample_rate)
        for start, end in parameters.gaps_s:
            inside = start > 1 / sample_rate and end < duration_s - 1 / sample_rate
            if inside and math.isfinite(duration_s):
                raise TaskError(
                    f"the gap {start:g}:{end:g} s has music on both sides: give one from 0 or up "
                    f"to the end ({duration_s:g} s), or take a model for the task `inpaint`"
                )

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Find silence at the start and at the end; None where there is neither."""
        samples, first, last = 0, None, 0
        for block in blocks:
            loud = (block.abs().amax(dim=0) > self.SILENT).nonzero()
            if len(loud):
                first = samples + int(loud[0]) if first is None else first
                last = samples + int(loud[-1]) + 1
            samples += block.shape[-1]
        if first is None:
            return None
        edges = ((0, first), (last, samples))
        gaps_s = tuple(
            (start / sample_rate, stop / sample_rate) for start, stop in edges
            if stop - start >= self.SHORTEST_S * sample_rate
        )
        return self.Parameters(gaps_s=gaps_s) if gaps_s else None
