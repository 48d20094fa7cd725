"""Metrics of the edges of a spectrum: the join at the cutoff, and energy where none belongs."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome, TaskError
from a2sb_tasks.detection.cutoff import CutoffDetector

LOWEST_HZ = 40.0
"""Music has hardly any content below."""
ABOVE = 2.0 ** (1 / 6)
"""Ratio of the edge of a recording to the frequency from which energy counts as surplus."""
SMALLEST = 1e-12


def own_edge_hz(wave: Tensor, sample_rate: int) -> float:
    """Return the frequency in Hz at which the energy of audio (C, T) ends.

    It is half the sample rate if the audio is full band, or if no edge is found.
    """
    detector = CutoffDetector(sample_rate)
    detector.push(wave.float())
    return detector.estimate().cutoff_hz or sample_rate / 2


def band_power(wave: Tensor, sample_rate: int, low_hz: float, high_hz: float) -> Tensor:
    """Return the power of each channel of audio (C, T) from ``low_hz`` to ``high_hz``, (C,)."""
    spectrum = torch.fft.rfft(wave.double())
    freqs_hz = torch.arange(spectrum.shape[-1]) * sample_rate / wave.shape[-1]
    inside = (freqs_hz >= low_hz) & (freqs_hz < high_hz)
    power: Tensor = spectrum[:, inside].abs().square().sum(dim=-1)
    return power / wave.shape[-1] ** 2


class Join(Metric):
    """Error in dB of the step in level across the cutoff, relative to that of the truth.

    The step is the level of the band just above the cutoff minus that of the band just below it. A
    restored recording with a step that the truth does not have sounds joined.
    """

    higher_is_better = False

    class Config(ComponentConfig):
        """Width of the bands."""

        name: str = "join_step"
        octaves: float = Field(1 / 3, gt=0, le=2)
        """Width of the bands beside the cutoff, in octaves."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Raise TaskError, because the metric needs the cutoff."""
        raise TaskError("the metric `join_step` needs the cutoff of the damage, not audio alone")

    def judge(self, outcome: Outcome) -> float | None:
        """Return the mean error over channels; None where there is no cutoff."""
        cutoff_hz = outcome.parameters.get("cutoff_hz")
        if cutoff_hz is None:
            return None
        steps = [
            self._step_db(wave, outcome.sample_rate, float(cutoff_hz))
            for wave in (outcome.truth, outcome.estimate)
        ]
        return float((steps[0] - steps[1]).abs().mean())

    def _step_db(self, wave: Tensor, sample_rate: int, cutoff_hz: float) -> Tensor:
        ratio = 2**self.config.octaves
        below = band_power(wave, sample_rate, cutoff_hz / ratio, cutoff_hz)
        above = band_power(wave, sample_rate, cutoff_hz, cutoff_hz * ratio)
        return 10 * ((above + SMALLEST) / (below + SMALLEST)).log10()


class Surplus(Metric):
    """Power in dB, relative to the truth, where the truth has hardly any: above its edge.

    Power below 40 Hz counts as well. Only power beyond that of the truth itself is surplus.
    """

    higher_is_better = False
    LOWEST_DB = -120.0

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "surplus"

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Return the surplus of all channels; ``LOWEST_DB`` if there is none."""
        edge_hz = own_edge_hz(truth, sample_rate) * ABOVE
        ranges = ((0.0, LOWEST_HZ), (edge_hz, math.inf))
        surplus = sum(
            float(
                (band_power(estimate, sample_rate, *one) - band_power(truth, sample_rate, *one))
                .clamp(min=0)
                .sum()
            )
            for one in ranges
        )
        total = float(truth.double().square().mean(dim=-1).sum())
        return max(self.LOWEST_DB, 10 * math.log10(2 * surplus / max(total, SMALLEST) + SMALLEST))
