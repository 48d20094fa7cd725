"""Bandwidth limitation by resampling, as in section 4.1 of the paper."""

from __future__ import annotations

import re
from typing import Self

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import (
    ComponentConfig,
    ConfigError,
    Damaged,
    Marks,
    Protocol,
    TaskError,
    resample,
)


class BandwidthLimit(Protocol):
    """Resamples clips to twice the cutoff and back: ``bandwidth-4k`` ends at 4 kHz."""

    task = "bandwidth"

    class Config(ComponentConfig):
        """The cutoff."""

        name: str = "bandwidth"
        cutoff_hz: float = Field(4000.0, gt=0)
        """Highest frequency that is kept, in Hz."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the cutoff, a number of kHz followed by ``k``."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)k", text)
        cutoff_hz = 1000 * float(match[1]) if match else 0.0
        if cutoff_hz <= 0:
            raise ConfigError("expected the cutoff in kHz followed by `k`, such as `4k` or `3.5k`")
        return cls(cls.Config(cutoff_hz=cutoff_hz))

    def damage(self, wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        """Limit the bandwidth of (C, T) audio; nothing is random."""
        cutoff_hz = self.config.cutoff_hz
        if cutoff_hz >= sample_rate / 2:
            raise TaskError(
                f"a clip with a sample rate of {sample_rate} Hz has no content above "
                f"{cutoff_hz:g} Hz that could be removed"
            )
        low_rate = round(2 * cutoff_hz)
        low = resample(wave, sample_rate, low_rate)
        limited = resample(low, low_rate, sample_rate, wave.shape[-1])
        return Damaged(limited, {"cutoff_hz": cutoff_hz}, Marks(frequencies_hz=(cutoff_hz,)))
