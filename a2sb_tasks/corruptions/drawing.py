"""Random draws of corruptions: ranges of their configurations, and noise for the waveform."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Noise

Config = TypeVar("Config", bound=ComponentConfig)

_ROWS = 4096  # samples that are drawn together


def ascending(config: Config, low: str, high: str) -> Config:
    """Return a configuration after a check that its field ``low`` does not exceed ``high``.

    Raises:
        ValueError: ``low`` exceeds ``high``.
    """
    least, most = getattr(config, low), getattr(config, high)
    if least > most:
        raise ValueError(f"{low} ({least:g}) must not exceed {high} ({most:g})")
    return config


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """Draw a number from the uniform distribution between two numbers."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def white_noise(noise: Noise, samples: int) -> Tensor:
    """Return standard normal samples (T,), a pure function of the noise's seed."""
    frames = -(-samples // _ROWS)
    drawn = Noise(noise.seed, 1, _ROWS, noise.device).at(0, 0, frames)[0]
    return drawn.mT.flatten()[:samples]
