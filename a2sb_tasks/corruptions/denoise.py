"""Additive noise at a signal-to-noise ratio."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, uniform, white_noise

Colour = Literal["white", "pink"]


class Denoise(WaveformCorruption):
    """Adds noise of a drawn level and colour; all channels of a recording get the same."""

    task = "denoise"

    class Config(ComponentConfig):
        """Training draws a ratio uniformly, and a colour."""

        name: str = "denoise"
        low_db: float = 0.0
        """Lowest ratio drawn."""
        high_db: float = 30.0
        """Highest ratio drawn."""
        colours: tuple[Colour, ...] = Field(("white", "pink"), min_length=1)
        """Colours that are drawn."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_db", "high_db")

    class Parameters(FrozenConfig):
        """The noise; to restore, it need not be known."""

        snr_db: float | None = None
        """Power of the item over that of the noise; without it there is none."""
        colour: Colour | None = None
        """``white``, which is the default, or ``pink``, whose density falls by 3 dB an octave."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a ratio and a colour."""
        colours = self.config.colours
        number = int(torch.randint(len(colours), (), generator=generator))
        snr_db = uniform(self.config.low_db, self.config.high_db, generator)
        return self.Parameters(snr_db=snr_db, colour=colours[number])

    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Add noise to audio (B, T), to each item at its own level."""
        if parameters.snr_db is None:
            return wave.clone()
        hiss = white_noise(noise, wave.shape[-1]).to(wave)
        if parameters.colour == "pink":
            hiss = _pink(hiss, sample_rate)
        ratio = wave.square().mean(dim=-1, keepdim=True) / hiss.square().mean().clamp(min=1e-20)
        power = 10 ** (-float(parameters.snr_db) / 10)
        return wave + hiss * (ratio * power).sqrt()


LOWEST_HZ = 20.0  # below it pink noise is white: nobody hears it rise for ever


def _pink(white: Tensor, sample_rate: int) -> Tensor:
    """Divide the spectrum of (T,) by the root of its frequency."""
    spectrum = torch.fft.rfft(white)
    freqs_hz = torch.fft.rfftfreq(len(white), 1 / sample_rate, device=white.device)
    shaped = spectrum / (freqs_hz.clamp(min=LOWEST_HZ) / LOWEST_HZ).sqrt()
    pink: Tensor = torch.fft.irfft(shaped, len(white))
    return pink
