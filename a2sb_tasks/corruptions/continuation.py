"""Continuation: the start or the end of the recording is missing."""

from __future__ import annotations

from typing import Literal

import torch

from a2sb_core.interfaces import Recording, TaskError
from a2sb_tasks.corruptions.drawing import uniform
from a2sb_tasks.corruptions.inpainting import Inpainting


class Continuation(Inpainting):
    """Inpainting of a gap that has music on one side only: the start or the end of the audio.

    The silence at an edge is filled. To continue music beyond an edge, pad the recording with
    silence, which :meth:`inspect` finds.
    """

    task = "continuation"
    label = "Continue"

    SILENT = 1e-5  # below the last bit of 16 bits, because resampling leaves no exact zeros
    SHORTEST_S = 0.05  # many recordings begin with some milliseconds of silence

    class Config(Inpainting.Config):
        """Settings of training, which draws a gap of ``low_s`` to ``high_s`` seconds at an edge."""

        name: str = "continuation"
        sides: Literal["start", "end", "both"] = "both"
        """Edges at which gaps are drawn."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Inpainting.Parameters:
        """Draw a side and a length; in short items it takes at most 70 % of the time."""
        high = min(self.config.high_s, 0.7 * duration_s)
        seconds = uniform(min(self.config.low_s, high), high, generator)
        side = self.config.sides
        if side == "both":
            side = "start" if uniform(0, 1, generator) < 0.5 else "end"
        start = 0.0 if side == "start" else duration_s - seconds
        return self.Parameters(gaps_s=((start, start + seconds),))

    def inspect(
        self, recording: Recording, given: Inpainting.Parameters | None = None
    ) -> Inpainting.Parameters | None:
        """Find silence at the start and at the end.

        Raises:
            TaskError: a gap does not reach an edge of the recording.
        """
        parameters = super().inspect(recording, given)
        if parameters is None or recording.duration_s is None:
            return parameters
        margin_s = 1 / recording.model_rate
        for start, end in parameters.gaps_s:
            if start > margin_s and end < recording.duration_s - margin_s:
                raise TaskError(
                    f"the gap {start:g}:{end:g} s has music on both sides: specify one from 0 or "
                    f"to the end ({recording.duration_s:g} s), or use a model that fills gaps"
                )
        return parameters

    def _find(self, recording: Recording) -> Inpainting.Parameters | None:
        rate, samples, first, last = recording.sample_rate, 0, None, 0
        for block in recording.raw_blocks():
            loud = (block.abs().amax(dim=0) > self.SILENT).nonzero()
            if len(loud):
                first = samples + int(loud[0]) if first is None else first
                last = samples + int(loud[-1]) + 1
            samples += block.shape[-1]
        if first is None:
            return None
        edges = ((0, first), (last, samples))
        gaps_s = tuple(
            (start / rate, stop / rate)
            for start, stop in edges
            if stop - start >= self.SHORTEST_S * rate
        )
        return self.Parameters(gaps_s=gaps_s) if gaps_s else None
