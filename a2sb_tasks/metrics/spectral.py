"""Spectral metrics of section 4.1: log-spectral distance (21) and SiSpec (22)."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome
from a2sb_tasks.metrics.edges import own_edge_hz
from a2sb_tasks.metrics.region import Region, missing_bins


class SpectralMetric(Metric):
    """Base class that compares magnitudes of STFTs at the given sample rate."""

    class Config(ComponentConfig):
        """Settings of the STFT, and the region that is compared."""

        n_fft: int = Field(2048, ge=2)
        """Size of the STFT, in samples."""
        hop_length: int = Field(512, ge=1)
        """Hop of the STFT, in samples."""
        region: Region = "all"
        """``missing`` compares only the rows from the cutoff on, or the frames whose middle lies in
        a gap."""

    @abstractmethod
    def compare(self, a: Tensor, b: Tensor) -> float:
        """Compare magnitudes (C, F, W) of the truth and of the estimate."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare recordings (C, T) as a whole."""
        return self.compare(self.magnitudes(truth), self.magnitudes(estimate))

    def judge(self, outcome: Outcome) -> float | None:
        """Compare the configured region; None if nothing is known to be missing."""
        if self.config.region == "all":
            return super().judge(outcome)
        a, b = (
            missing_bins(
                self.magnitudes(wave),
                outcome.sample_rate,
                self.config.hop_length,
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
        """Lower limit of powers before the logarithm, for digital silence."""
        edge: Literal["nyquist", "own"] = "nyquist"
        """Highest row that is compared: half the sample rate as in the paper, or that in which the
        energy of the truth ends. Recordings end anywhere from 13 to 22 kHz, and a difference above
        the end of one is inaudible, but counts as much as any other."""

        @model_validator(mode="after")
        def _check(self) -> LSD.Config:
            if self.edge == "own" and self.region != "all":
                raise ValueError("edge: `own` goes with region `all`")
            return self

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare recordings (C, T) up to the edge."""
        a, b = self.magnitudes(truth), self.magnitudes(estimate)
        if self.config.edge == "own":
            rows = math.ceil(own_edge_hz(truth, sample_rate) * self.config.n_fft / sample_rate) + 1
            a, b = a[:, :rows], b[:, :rows]
        return self.compare(a, b)

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
        """Settings of the compared spectra."""

        name: str = "sispec"
        exponent: float = Field(1.0, gt=0)
        """1 compares magnitudes, as (22) does with the A of (6); 2 compares powers."""

    def compare(self, a: Tensor, b: Tensor) -> float:
        """Compare magnitudes by (22); the result is at most ``LIMIT_DB``, also for equal ones."""
        pairs = zip(a.double(), b.double(), strict=True)
        values = [
            ratio_db(x**self.config.exponent, y**self.config.exponent, self.LIMIT_DB)
            for x, y in pairs
        ]
        return float(torch.stack(values).mean())


def ratio_db(truth: Tensor, estimate: Tensor, limit_db: float) -> Tensor:
    """Return the scale-invariant ratio of two tensors of the same shape in dB, a scalar.

    The truth is scaled to the best fit to the estimate; the rest is the error.
    """
    scaled = truth * ((truth * estimate).sum() / truth.square().sum().clamp(min=1e-20))
    ratio = scaled.square().sum() / (scaled - estimate).square().sum().clamp(min=1e-20)
    if torch.equal(truth, estimate):  # also if both are silent
        ratio = torch.full_like(ratio, torch.inf)
    return 10 * torch.log10(ratio.clamp(min=10 ** (-limit_db / 10))).clamp(max=limit_db / 10)
