"""Distances between the spectrograms of the estimated and of the clean audio."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Loss, TrainingEstimate
from a2sb_tasks.envelope.bands import levels_db

SMALLEST = 1e-8


def power(wave: Tensor, size: int, hop: int, center: bool = True) -> Tensor:
    """Return the power spectrogram (B, F, W) of audio (B, T) with a Hann window."""
    window = torch.hann_window(size, device=wave.device)
    spectrum = torch.stft(
        wave, size, hop, window=window, return_complex=True, pad_mode="constant", center=center
    )
    return torch.view_as_real(spectrum).square().sum(dim=-1)


class STFTDistance(Loss):
    """Multi-resolution STFT distance (Yamamoto et al. 2020).

    For each window size it adds the spectral convergence |M - M0|/|M0| and the mean of
    |ln M - ln M0| of magnitudes M and M0, and returns the mean over sizes. Magnitudes more than 80
    dB below the loudest are raised to that level.
    """

    class Config(ComponentConfig):
        """Windows of the spectrograms."""

        name: str = "stft_distance"
        sizes: tuple[Annotated[int, Field(ge=16, le=65_536)], ...] = Field(
            (512, 1024, 2048), min_length=1, max_length=16
        )
        """Sizes of the windows, in samples."""

    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the distance of each item, (B,)."""
        distances = stft_distance(trial.audio, trial.clean_audio, self.config.sizes)
        return distances.reshape(len(trial.x0), -1).mean(dim=1)


def stft_distance(wave: Tensor, clean: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the multi-resolution STFT distance of audio (B, T), (B,)."""
    distances = []
    for size in sizes:
        found, true = (power(x, size, size // 4) for x in (wave, clean))
        floor = true.amax(dim=(1, 2), keepdim=True).clamp(min=SMALLEST) * SMALLEST
        found, true = found.clamp(min=floor).sqrt(), true.clamp(min=floor).sqrt()
        convergence = (found - true).norm(dim=(1, 2)) / true.norm(dim=(1, 2))
        distances.append(convergence + (found.log() - true.log()).abs().mean(dim=(1, 2)))
    return torch.stack(distances).mean(dim=0)


class BandLevels(Loss):
    """Mean absolute difference of levels by third-octave and 46 ms, in units of 10 dB.

    The levels are those of the decoded audio, so that the network makes up for the level that
    phases lose which do not agree between overlapping frames.
    """

    class Config(ComponentConfig):
        """Limits of the levels."""

        name: str = "band_levels"
        floor_db: FiniteFloat = Field(-50.0, ge=-200, le=100)
        """Power density in dB that is added to both levels, so that silence need not be matched.
        Music at -20 dBFS has densities around 0 dB."""
        largest_db: FiniteFloat = Field(30.0, gt=0)
        """Difference in dB from which the loss grows no further."""

    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the difference of each item, (B,)."""
        hop = trial.representation.stride
        size = 4 * hop
        grid = trial.representation.grid(trial.clean_audio.shape[-1])
        bin_hz = grid.sample_rate / size
        freqs_hz = torch.arange(size // 2 + 1) * bin_hz
        found, true = (
            self._levels(x, size, hop, freqs_hz) for x in (trial.audio, trial.clean_audio)
        )
        share = _counted_share(trial, grid.freqs_hz, found.shape[-1])
        difference = (found - true).abs().clamp(max=self.config.largest_db) / 10
        difference = difference.reshape(len(share), -1, *difference.shape[1:]).mean(dim=1)
        total = (difference * share).sum(dim=(1, 2))
        return total / share.sum(dim=(1, 2)).clamp(min=1e-6)

    def _levels(self, wave: Tensor, size: int, hop: int, freqs_hz: Tensor) -> Tensor:
        density = power(wave, size, hop) * (2048 / size) + 10 ** (self.config.floor_db / 10)
        return levels_db(density, torch.ones_like(density[:1, :, :1], dtype=torch.bool), freqs_hz)[
            0
        ]


def _counted_share(trial: TrainingEstimate, freqs_hz: Tensor, stretches: int) -> Tensor:
    """Return the share of each band and stretch that counts, (B, BANDS, N)."""
    counted = trial.counted[:, 0].float()
    share = levels_db(torch.ones_like(counted), trial.counted[:, 0], freqs_hz)[1]
    return share[..., :stretches]


class LogSpectrum(Loss):
    """Mean absolute difference of the logarithm of power, in units of 10 dB, where it counts.

    It is that of the representation's own frames, and thus close to the log-spectral distance (21).
    """

    class Config(ComponentConfig):
        """Limits of the levels."""

        name: str = "log_spectrum"
        floor_db: FiniteFloat = Field(-50.0, ge=-200, le=100)
        """Power density in dB that is added to both spectra."""

    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the difference of each item, (B,)."""
        hop = trial.representation.stride
        floor = 10 ** (self.config.floor_db / 10)
        found, true = (
            (power(x, 4 * hop, hop) * (512 / hop) + floor).log10()
            for x in (trial.audio, trial.clean_audio)
        )
        difference = (found - true).abs().reshape(len(trial.x0), -1, *found.shape[1:]).mean(dim=1)
        counted = torch.nn.functional.interpolate(
            trial.counted.float(), size=difference.shape[1:], mode="nearest"
        )[:, 0]
        total: Tensor = (difference * counted).sum(dim=(1, 2))
        return total / counted.sum(dim=(1, 2)).clamp(min=1)
