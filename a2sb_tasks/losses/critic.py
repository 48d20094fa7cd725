"""A critic: a network that learns to tell restored from clean audio."""

from __future__ import annotations

import itertools
from typing import Annotated

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor, nn
from torch.nn import functional

from a2sb_core.interfaces import ComponentConfig, Loss, TrainingEstimate
from a2sb_tasks.losses.spectral import power

COMPRESSION = 0.15  # exponent of the power that the critic sees: loud and soft count alike
SLOPE = 0.2


class Critic(Loss):
    """Least-squares loss of a multi-resolution spectrogram critic, and feature matching.

    The critic (Mao et al. 2017; Jang et al. 2021) sees compressed spectrograms of several
    resolutions, and learns to give clean audio 1 and estimated audio 0. The term is
    (1 - score)^2 of the estimate, plus the mean absolute difference of the features of its layers
    between estimate and clean audio, relative to those of the clean audio.
    """

    class Config(ComponentConfig):
        """Sizes of the critic."""

        name: str = "critic"
        sizes: tuple[Annotated[int, Field(ge=64, le=65_536)], ...] = Field(
            (512, 1024, 2048), min_length=1, max_length=8
        )
        """Sizes of the windows of the spectrograms, in samples."""
        width: int = Field(24, ge=1, le=1024)
        """Number of channels of the layers."""
        layers: int = Field(4, ge=1, le=12)
        """Number of layers of each resolution; each halves the number of rows."""
        matching: FiniteFloat = Field(1.0, ge=0)
        """Weight of feature matching relative to the least-squares loss."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.views = nn.ModuleList(
            _View(self.config.width, self.config.layers) for _ in self.config.sizes
        )

    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the loss of each item, (B,)."""
        losses = []
        for seen, clean in zip(
            self._judged(trial.audio), self._judged(trial.clean_audio), strict=True
        ):
            score, *features = reversed(seen)
            _, *expected = reversed(clean)
            loss = (1 - score).square().flatten(1).mean(dim=1)
            for one, other in zip(features, expected, strict=True):
                other = other.detach()
                scale = other.abs().flatten(1).mean(dim=1).clamp(min=1e-6)
                apart = (one - other).abs().flatten(1).mean(dim=1) / scale
                loss = loss + self.config.matching * apart / len(features)
            losses.append(loss)
        mean = torch.stack(losses).mean(dim=0)
        return mean.reshape(len(trial.x0), -1).mean(dim=1)

    def learn(self, trial: TrainingEstimate) -> Tensor:
        """Return the least-squares loss of the critic."""
        pairs = zip(self._judged(trial.audio), self._judged(trial.clean_audio), strict=True)
        losses = [
            seen[-1].square().mean() + (1 - clean[-1]).square().mean() for seen, clean in pairs
        ]
        return torch.stack(losses).mean()

    def _judged(self, wave: Tensor) -> list[list[Tensor]]:
        """Return the features of each resolution; the last of them is the score."""
        with torch.autocast(wave.device.type, enabled=False):
            spectra = [power(wave, size, size // 4) for size in self.config.sizes]
            inputs = [(x + 1e-8).pow(COMPRESSION)[:, None] for x in spectra]
        return [view(x) for view, x in zip(self.views, inputs, strict=True)]


class _View(nn.Module):
    """Convolutions over one spectrogram."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        widths = [1] + [width] * layers
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, (5, 3), stride=(2, 1), padding=(2, 1))
            for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, 1, F, W) to features of each layer and the score."""
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return [*features, self.last(x)]
