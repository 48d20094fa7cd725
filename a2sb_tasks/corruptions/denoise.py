"""Additive noise at a signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, white_noise

Colour = Literal["white", "pink"]


class Denoise(WaveformCorruption["Denoise.Parameters"]):
    """Adds noise of some level and colour, which is the same for all channels of a recording."""

    task = "denoise"

    class Config(ComponentConfig):
        """Ratios and colours that training draws uniformly."""

        name: str = "denoise"
        low_db: float = 0.0
        """Lowest signal-to-noise ratio, in dB."""
        high_db: float = 30.0
        """Highest signal-to-noise ratio, in dB."""
        colours: tuple[Colour, ...] = Field(("white", "pink"), min_length=1)
        """Colours that are drawn."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_db", "high_db")

    class Parameters(FrozenConfig):
        """Level and colour of the noise, which a restoration does not need."""

        snr_db: float | None = None
        """Power of the item relative to the noise, in dB; without it, there is no noise."""
        colour: Colour | None = None
        """``white`` (the default), or ``pink``, whose density falls by 3 dB per octave."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Colours, and the range of the ratio."""
        config = self.config
        return {"colour": config.colours, "snr_db": (config.low_db, config.high_db)}

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Add noise to audio (B, T), at a level relative to each item."""
        if parameters.snr_db is None:
            return wave.clone()
        hiss = white_noise(noise, wave.shape[-1]).to(wave)
        if parameters.colour == "pink":
            hiss = _pink(hiss, sample_rate)
        ratio = wave.square().mean(dim=-1, keepdim=True) / hiss.square().mean().clamp(min=1e-20)
        power = 10 ** (-float(parameters.snr_db) / 10)
        return wave + hiss * (ratio * power).sqrt()


LOWEST_HZ = 20.0  # pink noise is white below this inaudible frequency, so that it stays finite


def _pink(white: Tensor, sample_rate: int) -> Tensor:
    """Divide the spectrum of noise (T,) by the square root of the frequency."""
    spectrum = torch.fft.rfft(white)
    freqs_hz = torch.fft.rfftfreq(len(white), 1 / sample_rate, device=white.device)
    shaped = spectrum / (freqs_hz.clamp(min=LOWEST_HZ) / LOWEST_HZ).sqrt()
    pink: Tensor = torch.fft.irfft(shaped, len(white))
    return pink
