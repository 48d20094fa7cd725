"""Low-pass filters as resamplers, equalizers and codecs have them, drawn for training."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig
from a2sb_tasks.corruptions.drawing import uniform

EDGE_DB = 15.0
"""Attenuation at the edge, from which content counts as missing."""
Kind = Literal["butterworth", "raised_cosine", "brick_wall"]
KINDS = get_args(Kind)
ORDERS = (4, 16)
"""Lowest and highest order of a drawn Butterworth filter."""
WIDTHS = (0.01, 0.2)
"""Narrowest and widest drawn transition band, as a share of the cutoff."""


class LowPass(FrozenConfig):
    """Magnitude response of a low-pass filter, which leaves phases unchanged."""

    kind: Kind
    """``butterworth`` is a recursive filter, ``raised_cosine`` the linear-phase filter of a
    resampler, ``brick_wall`` the cut of a codec that leaves out coefficients."""
    cutoff_hz: float = Field(gt=0)
    """Frequency in Hz at which the filter halves the power (``butterworth``) or the amplitude."""
    order: int = Field(8, ge=1)
    """Order of the Butterworth filter."""
    width: float = Field(0.1, gt=0, lt=2)
    """Width of the transition band of ``raised_cosine``, as a share of the cutoff."""

    @classmethod
    def draw(cls, cutoff_hz: float, generator: torch.Generator) -> LowPass:
        """Draw a filter of any kind with a cutoff."""
        kind = KINDS[int(torch.randint(len(KINDS), (), generator=generator))]
        order = int(torch.randint(ORDERS[0], ORDERS[1] + 1, (), generator=generator))
        return cls(kind=kind, cutoff_hz=cutoff_hz, order=order, width=uniform(*WIDTHS, generator))

    def response(self, freqs_hz: Tensor) -> Tensor:
        """Return the gain at each frequency (in Hz), of the same shape."""
        ratio = freqs_hz / self.cutoff_hz
        if self.kind == "butterworth":
            return (1 + ratio ** (2 * self.order)).rsqrt()
        if self.kind == "brick_wall":
            return (ratio < 1).to(freqs_hz)
        position = ((1 - ratio) / self.width + 0.5).clamp(0, 1)
        return (position * torch.pi / 2).sin().square()

    @property
    def edge_hz(self) -> float:
        """Frequency in Hz at which the attenuation reaches ``EDGE_DB``."""
        gain = 10 ** (-EDGE_DB / 20)
        if self.kind == "butterworth":
            return float(self.cutoff_hz * (gain**-2 - 1) ** (0.5 / self.order))
        if self.kind == "brick_wall":
            return self.cutoff_hz
        position = math.asin(math.sqrt(gain)) * 2 / math.pi
        return self.cutoff_hz * (1 + self.width * (0.5 - position))

    def apply(self, wave: Tensor, sample_rate: int) -> Tensor:
        """Filter audio (..., T) as one period, without delay; return the same shape."""
        size = wave.shape[-1]
        freqs_hz = torch.fft.rfftfreq(size, 1 / sample_rate, device=wave.device)
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(wave) * self.response(freqs_hz), size)
        return filtered
