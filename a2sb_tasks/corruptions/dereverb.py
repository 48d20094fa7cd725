"""Reverberation by synthetic impulse responses of rooms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, uniform, white_noise


class Dereverb(WaveformCorruption["Dereverb.Parameters"]):
    """Convolves audio with a direct sound that is followed by exponentially decaying noise.

    This is the impulse response of Polack's statistical model of a diffuse room: h[0] = 1 and, from
    ``delay_s`` on, noise times 10^(-3 t / RT60), scaled to the direct-to-reverberant ratio. Each
    item gets a new room.
    """

    task = "dereverb"

    class Config(ComponentConfig):
        """Ranges of training: RT60 is uniform on a logarithmic scale, and the ratio in dB."""

        name: str = "dereverb"
        low_s: float = Field(0.2, gt=0)
        """Shortest RT60, in seconds."""
        high_s: float = Field(1.5, gt=0)
        """Longest RT60, in seconds."""
        low_db: float = -3.0
        """Lowest direct-to-reverberant ratio, in dB."""
        high_db: float = 15.0
        """Highest direct-to-reverberant ratio, in dB."""
        delay_s: float = Field(0.005, ge=0)
        """Time between the direct sound and the first reflection, in seconds."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(ascending(self, "low_s", "high_s"), "low_db", "high_db")

    class Parameters(FrozenConfig):
        """Parameters of the room, which a restoration does not need."""

        rt60_s: float | None = Field(None, gt=0)
        """Time in seconds in which the reverberation falls by 60 dB; without it, there is none."""
        drr_db: float | None = None
        """Ratio of the energies of the direct sound and the reverberation, in dB (default: 0)."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Ranges of the room."""
        config = self.config
        return {"rt60_s": (config.low_s, config.high_s), "drr_db": (config.low_db, config.high_db)}

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a room."""
        low, high = math.log(self.config.low_s), math.log(self.config.high_s)
        rt60_s = math.exp(uniform(low, high, generator))
        drr_db = uniform(self.config.low_db, self.config.high_db, generator)
        return self.Parameters(rt60_s=rt60_s, drr_db=drr_db)

    def response(self, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Return the impulse response (n,) of a room, down to -60 dB of its first reflection."""
        rt60_s = parameters.rt60_s or 0.0
        first = max(1, round(self.config.delay_s * sample_rate))
        time_s = torch.arange(1 + round(rt60_s * sample_rate)) / sample_rate
        tail = white_noise(noise, len(time_s)).cpu() * 10 ** (-3 * time_s / max(rt60_s, 1e-9))
        tail *= 10 ** (-(parameters.drr_db or 0.0) / 20) / tail.norm()
        return torch.cat([torch.ones(1), torch.zeros(first - 1), tail])

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Convolve audio (B, T); the reverberation after its end is cut off."""
        if parameters.rt60_s is None:
            return wave.clone()
        length = wave.shape[-1]
        response = self.response(parameters, noise, sample_rate)[:length].to(wave)
        size = length + len(response) - 1
        product = torch.fft.rfft(wave, size) * torch.fft.rfft(response, size)
        wet: Tensor = torch.fft.irfft(product, size)
        return wet[..., :length]
