"""Gaps in time: every row of some frames is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption, TaskError, find_gaps
from a2sb_tasks.corruptions.tones import carry, needed_from, short_gaps

FloatArray = npt.NDArray[np.floating[Any]]

ROUNDING_S = 1e-9  # a frame that ends where a gap begins must not count for a rounding error


class Inpainting(MaskCorruption):
    """Inpainting as masking: M = 1 for the frames of a gap, section 3.2."""

    task = "inpaint"
    looks_at_original = True
    looks_at_all = True

    class Config(MaskCorruption.Config):
        """Training draws one gap at a random place."""

        name: str = "inpainting"
        low_s: float = Field(0.1, gt=0)
        """Shortest gap drawn."""
        high_s: float = Field(1.6, gt=0)
        """Longest gap drawn."""
        edges: Literal["touched", "inside"] = "touched"
        """Frames that a gap takes: ``touched``, every frame that holds a sample of it (right for
        audio whose gap is really silent), or ``inside``, the frames whose middle lies in it (the
        paper's protocol on clean files)."""

        tones: bool = False
        """Let tones go on through gaps of up to 0.6 s, which small networks fill with noise: an
        autoregressive model takes the place of what the network says, below 1.5 kHz and within 80
        ms of the edges."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            if self.low_s > self.high_s:
                raise ValueError(
                    f"low_s ({self.low_s:g}) must not exceed high_s ({self.high_s:g})"
                )
            return self

    class Parameters(FrozenConfig):
        """Where the gaps are."""

        gaps_s: tuple[tuple[float, float], ...]
        """Stretches (start, end) in seconds."""

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
        """Draw a gap; in short items it takes at most 70 % of the time, so that some is left."""
        u, v = torch.rand(2, generator=generator).tolist()
        high = min(self.config.high_s, 0.7 * duration_s)
        low = min(self.config.low_s, high)
        gap = low + (high - low) * u
        start = (duration_s - gap) * v
        return self.Parameters(gaps_s=((start, start + gap),))

    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Mark the frames of each gap."""
        reach = grid.frame_s / 2 - ROUNDING_S if self.config.edges == "touched" else 0.0
        frames = torch.zeros(len(grid.times_s), dtype=torch.bool)
        for start, end in parameters.gaps_s:
            frames |= (grid.times_s > start - reach) & (grid.times_s < end + reach)
        return frames[None].expand(grid.shape)

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse gaps beyond the end, and gaps that leave nothing to restore from."""
        for start, end in parameters.gaps_s:
            if end > duration_s + 1 / sample_rate:
                raise TaskError(
                    f"the gap {start:g}:{end:g} s does not lie within the audio, "
                    f"which is {duration_s:g} s long"
                )
        if not parameters.gaps_s:
            raise TaskError("no gap was given: say where content is missing, in seconds")
        if sum(end - start for start, end in parameters.gaps_s) >= duration_s - 1 / sample_rate:
            raise TaskError("the gaps cover the whole audio: nothing is left to restore it from")

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Parameters | None:
        """Find NaN, digital silence inside music, stuck samples and clicks; None: there is none."""
        samples = 0

        def arrays() -> Iterator[FloatArray]:
            nonlocal samples
            for block in blocks:
                samples += block.shape[-1]
                yield block.numpy()

        found, margin_s = find_gaps(arrays(), sample_rate), 1 / sample_rate
        end_s = samples / sample_rate
        gaps = tuple(
            (max(0.0, gap.start_s - margin_s), min(end_s, gap.end_s + margin_s)) for gap in found
        )
        return self.Parameters(gaps_s=gaps) if gaps else None

    def polish(
        self, blocks: Iterable[Tensor], parameters: Any, sample_rate: int, first: int = 0
    ) -> Iterator[Tensor]:
        """Carry tones through short gaps, if the configuration asks for it."""
        if not self.config.tones:
            yield from blocks
            return
        gaps = short_gaps(parameters.gaps_s, sample_rate)
        for block in carry((block.numpy() for block in blocks), gaps, sample_rate, first):
            yield torch.from_numpy(block)

    def polish_from(self, parameters: Any, sample_rate: int, sample: int) -> int:
        """Return where the context of the first gap concerned begins."""
        if not self.config.tones:
            return sample
        return needed_from(short_gaps(parameters.gaps_s, sample_rate), sample_rate, sample)

    def stretches(self, parameters: Any) -> tuple[tuple[float, float], ...]:
        """Return the gaps themselves."""
        return tuple(parameters.gaps_s)
