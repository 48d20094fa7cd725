"""Metric of the dynamics of restored content: correlation of its level over time."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome, TaskError
from a2sb_tasks.envelope.bands import centres_hz, levels_db
from a2sb_tasks.losses.spectral import power

N_FFT, HOP = 2048, 512
SMALLEST_SPREAD_DB = 0.1
"""A band whose level hardly changes has no dynamics to follow."""


class LevelCorrelation(Metric):
    """Correlation of the restored with the true level over time, by third-octave above the cutoff.

    Levels are in dB, of stretches of 46 ms. The metric is the mean of the correlations of the bands
    that are missing and in the range. A level that is wrong by a constant does not change it. The
    metric is 1 if the truth has no dynamics to follow, as in silence.
    """

    higher_is_better = True

    class Config(ComponentConfig):
        """Range of the bands."""

        name: str = "level_correlation"
        low_hz: float = Field(4000.0, gt=0)
        """Lowest middle frequency of a band, in Hz."""
        high_hz: float = Field(16_500.0, gt=0)
        """Highest middle frequency of a band, in Hz."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Raise TaskError, because the metric needs the cutoff."""
        raise TaskError(
            "the metric `level_correlation` needs the cutoff of the damage, not audio alone"
        )

    def judge(self, outcome: Outcome) -> float | None:
        """Return the mean over bands and channels; None where there is no cutoff."""
        cutoff_hz = outcome.parameters.get("cutoff_hz")
        if cutoff_hz is None:
            return None
        centres = centres_hz()
        lowest = max(self.config.low_hz, float(cutoff_hz) * 2 ** (1 / 6))
        bands = (centres >= 0.999 * lowest) & (centres <= self.config.high_hz)
        rate = outcome.sample_rate
        # The outermost band collects all that is above it.
        bands &= centres * 2 ** (1 / 6) < rate / 2
        true, restored = (
            _levels(wave, rate)[:, bands] for wave in (outcome.truth, outcome.estimate)
        )
        true, restored = true - true.mean(-1, True), restored - restored.mean(-1, True)
        spread = true.square().mean(-1).sqrt()
        counted = spread > SMALLEST_SPREAD_DB
        if not bool(counted.any()):
            return 1.0
        product = (true * restored).mean(-1)
        own = restored.square().mean(-1).sqrt().clamp(min=1e-6)
        return float((product / (spread * own))[counted].mean())


def _levels(wave: Tensor, sample_rate: int) -> Tensor:
    """Return the levels of audio (C, T) by channel, band and stretch, in dB."""
    spectrum = power(wave.float(), N_FFT, HOP)
    freqs_hz = torch.arange(spectrum.shape[1]) * sample_rate / N_FFT
    return levels_db(spectrum, torch.ones((), dtype=torch.bool), freqs_hz)[0].double()
