"""Gaps at regular intervals, as in section 4.1 of the paper."""

from __future__ import annotations

import re
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    ComponentConfig,
    ConfigError,
    Damaged,
    Marks,
    Protocol,
    TaskError,
    blank,
)


class RegularGaps(Protocol):
    """Silences the middle of every 5 seconds: ``gap-300`` makes gaps of 300 ms."""

    task = "inpaint"

    class Config(ComponentConfig):
        """Length and interval of the gaps."""

        name: str = "gap"
        gap_s: float = Field(0.3, gt=0)
        """Length of a gap, in seconds."""
        every_s: float = Field(5.0, gt=0)
        """Interval from the middle of one gap to the middle of the next, in seconds."""

        @model_validator(mode="after")
        def _fits(self) -> Self:
            if self.gap_s >= self.every_s:
                raise ValueError("gap_s must be less than every_s")
            return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the length of a gap, a number of milliseconds."""
        length = float(text) / 1000 if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
        every_s = cls.Config().every_s
        if not 0 < length < every_s:
            raise ConfigError(
                f"expected the length of a gap in ms, less than {1000 * every_s:g}, such as `300`"
            )
        return cls(cls.Config(gap_s=length))

    def damage(self, wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        """Silence gaps of (C, T) audio; nothing is random."""
        gap_s, every_s = self.config.gap_s, self.config.every_s
        duration_s, middle_s = wave.shape[-1] / sample_rate, every_s / 2
        gaps_s: list[tuple[float, float]] = []
        while middle_s + gap_s / 2 < duration_s:
            gaps_s.append((middle_s - gap_s / 2, middle_s + gap_s / 2))
            middle_s += every_s
        if not gaps_s:
            raise TaskError(
                f"a clip of {duration_s:.2f} s is too short: the first gap ends at "
                f"{every_s / 2 + gap_s / 2:g} s"
            )
        stretches_s = tuple(gaps_s)
        damaged = blank(wave, stretches_s, sample_rate)
        return Damaged(damaged, {"gaps_s": gaps_s}, Marks(stretches_s=stretches_s))
