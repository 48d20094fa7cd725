"""Gaps in time: every row of some frames is missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    Differentiable,
    FloatArray,
    FrozenConfig,
    Grid,
    MaskCorruption,
    Recording,
    TaskError,
    blank,
)
from a2sb_tasks.corruptions.drawing import ascending

ROUNDING_S = 1e-9  # a rounding error must not include a frame that ends where a gap begins


class Inpainting(Differentiable, MaskCorruption["Inpainting.Parameters"]):
    """Inpainting as masking: M = 1 for the frames of a gap, section 3.2."""

    task = "inpaint"
    label = "Fill gaps"

    class Config(MaskCorruption.Config):
        """Settings of the gaps; training draws one gap at a random position."""

        name: str = "inpainting"
        low_s: float = Field(0.1, gt=0)
        """Length of the shortest gap, in seconds."""
        high_s: float = Field(1.6, gt=0)
        """Length of the longest gap, in seconds."""
        edges: Literal["touched", "inside"] = "touched"
        """Frames that belong to a gap: ``touched``, all frames that contain a sample of the gap
        (for gaps that are silent), or ``inside``, the frames whose middle lies in the gap (the
        paper's protocol on clean files)."""

        @model_validator(mode="before")
        @classmethod
        def _without_tones(cls, fields: Any) -> Any:
            """Accept ``tones`` of earlier models, which a guess has replaced."""
            if not isinstance(fields, dict) or "tones" not in fields:
                return fields
            if fields["tones"]:
                warnings.warn(
                    "inpainting: `tones` has no effect any more; a model that is trained with the "
                    "guess `similar_passage` fills gaps better",
                    FutureWarning,
                    stacklevel=2,
                )
            return {name: value for name, value in fields.items() if name != "tones"}

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_s", "high_s")

    class Parameters(FrozenConfig):
        """Positions of the gaps."""

        gaps_s: tuple[tuple[float, float], ...]
        """Gaps (start, end), in seconds."""
        intact: bool = False
        """Whether the samples in the gaps are intact, as in a clean file that is restored for
        comparison: the frames whose middle lies in a gap are then missing, and all others are used
        as they are."""

        @field_validator("gaps_s")
        @classmethod
        def _merge(cls, gaps: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
            for start, end in gaps:
                if not 0 <= start < end < float("inf"):
                    raise ValueError(
                        f"a gap must have 0 <= start < end in seconds, got {start}:{end}"
                    )
            merged: list[tuple[float, float]] = []
            for start, end in sorted(gaps):
                if merged and start <= merged[-1][1]:
                    merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
                else:
                    merged.append((start, end))
            return tuple(merged)

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a gap; in a short item it takes at most 70 % of the time."""
        u, v = torch.rand(2, generator=generator).tolist()
        high = min(self.config.high_s, 0.7 * duration_s)
        low = min(self.config.low_s, high)
        gap = low + (high - low) * u
        start = (duration_s - gap) * v
        return self.Parameters(gaps_s=((start, start + gap),))

    def forward(self, wave: Tensor, parameters: Parameters, sample_rate: int) -> Tensor:
        """Silence the gaps of audio (C, T) from the start of a recording."""
        return blank(wave, parameters.gaps_s, sample_rate)

    def missing(self, grid: Grid, parameters: Parameters) -> Tensor:
        """Mark the frames of each gap."""
        inside = parameters.intact or self.config.edges == "inside"
        reach = 0.0 if inside else grid.frame_s / 2 - ROUNDING_S
        frames = torch.zeros(len(grid.times_s), dtype=torch.bool)
        for start, end in parameters.gaps_s:
            frames |= (grid.times_s > start - reach) & (grid.times_s < end + reach)
        return frames[None].expand(grid.shape)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters | None:
        """Find NaN, silence and noise inside music, stuck samples, repeated packets and clicks.

        Returns:
            The gaps; None if there is none.

        Raises:
            TaskError: gaps do not lie within the recording, cover all of it, or cannot be found
                because only the beginning of the recording is available.
        """
        if given is None:
            given = self._found(recording)
            if given is None:
                return None
        if not given.gaps_s:
            raise TaskError("the list of gaps is empty: specify the missing stretches in seconds")
        return super().inspect(recording, given)

    def _found(self, recording: Recording) -> Parameters | None:
        if recording.is_partial:
            raise TaskError(
                f"the task `{self.task}` needs the whole recording to find the damage, but a pipe "
                "can be read only once: specify the damage, or restore a file"
            )
        return self._find(recording)

    def _find(self, recording: Recording) -> Parameters | None:
        from a2sb_tasks.detection.gaps import find_gaps  # takes long to import

        rate, samples = recording.sample_rate, 0

        def arrays() -> Iterator[FloatArray]:
            nonlocal samples
            for block in recording.raw_blocks():
                samples += block.shape[-1]
                yield block.numpy()

        margin_s, gaps = 1 / rate, []
        for gap in find_gaps(arrays(), rate):
            length_ms = 1000 * (gap.end_s - gap.start_s)
            recording.note(f"{gap.detector} from {gap.start_s:.4f} s, {length_ms:.3g} ms")
            gaps.append((gap.start_s, gap.end_s))
        end_s = samples / rate
        widened = tuple((max(0.0, a - margin_s), min(end_s, b + margin_s)) for a, b in gaps)
        return self.Parameters(gaps_s=widened) if widened else None

    def describe(self, parameters: Parameters) -> str:
        """Describe the number of gaps and their total length."""
        gaps = parameters.gaps_s
        total_s = sum(end - start for start, end in gaps)
        return f"filling {len(gaps)} gap{'s' * (len(gaps) > 1)}, {total_s:.4g} s in all"

    def stretches(self, parameters: Parameters) -> tuple[tuple[float, float], ...]:
        """Return the gaps."""
        return tuple(parameters.gaps_s)

    def lost(self, parameters: Parameters) -> tuple[tuple[float, float], ...]:
        """Return the gaps; none if their samples are intact."""
        return () if parameters.intact else self.stretches(parameters)
