"""Spectral metrics of section 4.1: log-spectral distance (21) and SiSpec (22)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric


class SpectralMetric(Metric):
    """Base: compares magnitudes of STFTs of 2048 samples every 512, at the rate given."""

    class Config(ComponentConfig):
        """STFT size and hop in samples."""

        n_fft: int = 2048
        hop_length: int = 512

    def magnitudes(self, wave: Tensor) -> Tensor:
        """Return |STFT| of (C, T) audio, (C, F, W), centred with zeros beyond the ends."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        window = torch.hann_window(n_fft)
        spectrum = torch.stft(
            wave.float(), n_fft, hop, window=window, return_complex=True, pad_mode="constant"
        )
        return spectrum.abs()


class LSD(SpectralMetric):
    """Log-spectral distance, (21): mean over frames of the rms over rows of log10(A^2/Ahat^2)."""

    higher_is_better = False

    class Config(SpectralMetric.Config):
        """``floor``: powers are raised to it before the logarithm, for digital silence."""

        name: str = "lsd"
        floor: float = Field(1e-10, gt=0)

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare (C, T) recordings."""
        a, b = (
            self.magnitudes(wave).square().clamp(min=self.config.floor).log10()
            for wave in (truth, estimate)
        )
        return float((a - b).square().mean(dim=1).sqrt().mean())


class SiSpec(SpectralMetric):
    """Scale-invariant spectrogram signal-to-noise ratio in dB, (22).

    With eta(A) = <A, Ahat> A/||A||^2 it is 10 log10(||eta(A)||^2/||eta(A) - Ahat||^2).
    """

    higher_is_better = True
    LIMIT_DB = 100.0

    class Config(SpectralMetric.Config):
        """``exponent`` 1 compares magnitudes, as (22) does with the A of (6); 2 compares powers."""

        name: str = "sispec"
        exponent: float = Field(1.0, gt=0)

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare (C, T) recordings; at most ``LIMIT_DB``, which equal recordings reach."""
        values = []
        pairs = zip(self.magnitudes(truth), self.magnitudes(estimate), strict=True)
        for a, b in pairs:
            a, b = (x.double() ** self.config.exponent for x in (a, b))
            scaled = a * ((a * b).sum() / a.square().sum().clamp(min=1e-20))
            ratio = scaled.square().sum() / (scaled - b).square().sum().clamp(min=1e-20)
            if torch.equal(a, b):  # silent ones too
                ratio = torch.full_like(ratio, torch.inf)
            values.append(10 * torch.log10(ratio.clamp(min=1e-10)).clamp(max=self.LIMIT_DB / 10))
        return float(torch.stack(values).mean())
