"""Spectral metrics of section 4.1: log-spectral distance (21) and SiSpec (22)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome
from a2sb_tasks.metrics.region import Region, missing_bins


class SpectralMetric(Metric):
    """Base: compares magnitudes of STFTs of 2048 samples every 512, at the rate given."""

    class Config(ComponentConfig):
        """The STFT, and what of it is compared."""

        n_fft: int = Field(2048, ge=2)
        """Size of the STFT, in samples."""
        hop_length: int = Field(512, ge=1)
        """Its hop, in samples."""
        region: Region = "all"
        """``missing`` looks only at the rows from the cutoff up, or at the frames whose middle lies
        in a gap."""

    @abstractmethod
    def compare(self, a: Tensor, b: Tensor) -> float:
        """Compare magnitudes (C, F, W) of the truth and of the estimate."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare (C, T) recordings, all of them."""
        return self.compare(self.magnitudes(truth), self.magnitudes(estimate))

    def judge(self, outcome: Outcome) -> float | None:
        """Compare the region asked for; None where nothing is known to be missing."""
        if self.config.region == "all":
            return super().judge(outcome)
        a, b = (
            missing_bins(
                self.magnitudes(wave), outcome.sample_rate, self.config.hop_length,
                outcome.parameters,
            )
            for wave in (outcome.truth, outcome.estimate)
        )
        return None if a is None or b is None else self.compare(a, b)

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
        """Settings of the logarithm."""

        name: str = "lsd"
        floor: float = Field(1e-10, gt=0)
        """Powers are raised to it before the logarithm, for digital silence."""

    def compare(self, a: Tensor, b: Tensor) -> float:
        """Compare magnitudes by (21)."""
        a, b = (x.square().clamp(min=self.config.floor).log10() for x in (a, b))
        return float((a - b).square().mean(dim=1).sqrt().mean())


class SiSpec(SpectralMetric):
    """Scale-invariant spectrogram signal-to-noise ratio in dB, (22).

    With eta(A) = <A, Ahat> A/||A||^2 it is 10 log10(||eta(A)||^2/||eta(A) - Ahat||^2).
    """

    higher_is_better = True
    LIMIT_DB = 100.0

    class Config(SpectralMetric.Config):
        """What is compared."""

        name: str = "sispec"
        exponent: float = Field(1.0, gt=0)
        """1 compares magnitudes, as (22) does with the A of (6); 2 compares powers."""

    def compare(self, a: Tensor, b: Tensor) -> float:
        """Compare magnitudes by (22); at most ``LIMIT_DB``, which equal ones reach."""
        pairs = zip(a.double(), b.double(), strict=True)
        values = [
            ratio_db(x**self.config.exponent, y**self.config.exponent, self.LIMIT_DB)
            for x, y in pairs
        ]
        return float(torch.stack(values).mean())


def ratio_db(truth: Tensor, estimate: Tensor, limit_db: float) -> Tensor:
    """Return the scale-invariant ratio of two tensors of one shape in dB, a scalar.

    The truth is scaled to fit the estimate best; what is left is the error.
    """
    scaled = truth * ((truth * estimate).sum() / truth.square().sum().clamp(min=1e-20))
    ratio = scaled.square().sum() / (scaled - estimate).square().sum().clamp(min=1e-20)
    if torch.equal(truth, estimate):  # silent ones too
        ratio = torch.full_like(ratio, torch.inf)
    return 10 * torch.log10(ratio.clamp(min=10 ** (-limit_db / 10))).clamp(max=limit_db / 10)
