"""Low-pass filter whose slope can be inverted, known or estimated during guided sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    ComponentConfig,
    Differentiable,
    FrozenConfig,
    Marks,
    Noise,
    WaveformCorruption,
)
from a2sb_tasks.corruptions.drawing import ascending

LENGTH_S = 0.012
"""Length of the impulse response in seconds, which blurs the response by about 100 Hz."""
FLOOR_DB = 80.0
"""Largest attenuation of the filter."""
PER_OCTAVE = 6
"""Bands per octave in which the response is estimated."""
LOWEST_HZ = 100.0
"""Lowest edge of these bands."""
AUDIBLE = 1e-10
"""Power of a band relative to the loudest one, below which it says nothing."""


class SlopedFilter(Differentiable, WaveformCorruption["SlopedFilter.Parameters"]):
    """Attenuates what is above a cutoff by a constant number of dB per octave.

    The filter has a finite impulse response (FIR) and linear phase without delay, as in BABE
    (Moliner et al. 2024). A guided sampler estimates the parameters that are not given from the
    ratio of the spectra of the recording and of its current estimate of the clean audio.
    """

    task = "lowpass"
    label = "Undo a low-pass filter"
    fitted = ("cutoff_hz", "slope_db")

    class Config(ComponentConfig):
        """Ranges from which training draws the filter uniformly."""

        name: str = "lowpass"
        low_hz: float = Field(1000.0, gt=0)
        """Lowest cutoff, in Hz."""
        high_hz: float = Field(8000.0, gt=0)
        """Highest cutoff, in Hz."""
        low_db: float = Field(6.0, gt=0)
        """Flattest slope, in dB per octave."""
        high_db: float = Field(48.0, gt=0)
        """Steepest slope, in dB per octave."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(ascending(self, "low_hz", "high_hz"), "low_db", "high_db")

    class Parameters(FrozenConfig):
        """Cutoff and slope of the filter; a restoration need not know them."""

        cutoff_hz: float | None = Field(None, gt=0)
        """Frequency in Hz from which the filter attenuates."""
        slope_db: float | None = Field(None, ge=0)
        """Attenuation above the cutoff, in dB per octave."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Ranges of cutoff and slope."""
        config = self.config
        return {
            "cutoff_hz": (config.low_hz, config.high_hz),
            "slope_db": (config.low_db, config.high_db),
        }

    def response(self, parameters: Parameters, sample_rate: int) -> Tensor:
        """Return the impulse response (n,), whose middle is time 0; n is odd."""
        middle = max(1, round(LENGTH_S * sample_rate / 2))
        freqs_hz = torch.fft.rfftfreq(8 * middle, 1 / sample_rate, dtype=torch.float64)
        octaves = (freqs_hz / (parameters.cutoff_hz or math.inf)).clamp(min=1).log2()
        loss_db = (octaves * (parameters.slope_db or 0.0)).clamp(max=FLOOR_DB)
        whole: Tensor = torch.fft.irfft(10 ** (-loss_db / 20)).roll(middle)[: 2 * middle + 1]
        return whole * torch.hann_window(2 * middle + 3, periodic=False, dtype=torch.float64)[1:-1]

    def forward(self, wave: Tensor, parameters: Parameters, sample_rate: int) -> Tensor:
        """Filter audio (C, T); what lies outside of it counts as silence."""
        response, length = self.response(parameters, sample_rate).to(wave), wave.shape[-1]
        size = 1 << (length + len(response) - 2).bit_length()  # fast, and no sample wraps around
        product = torch.fft.rfft(wave, size) * torch.fft.rfft(response, size)
        filtered: Tensor = torch.fft.irfft(product, size)
        return filtered[..., len(response) // 2 :][..., :length]

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Filter audio (B, T)."""
        return self.forward(wave, parameters, sample_rate)

    def estimate(
        self, observed: Tensor, clean: Tensor, parameters: Parameters, sample_rate: int
    ) -> Parameters:
        """Fit the filter to the ratio of two spectra in bands, by least squares in dB.

        For each cutoff on a grid, the best slope has a closed form.
        """
        if parameters.cutoff_hz is not None and parameters.slope_db is not None:
            return parameters
        freqs_hz, powers = _bands(torch.stack([clean, observed]), sample_rate)
        floor = (AUDIBLE * powers.amax(dim=1, keepdim=True)).clamp(min=1e-30)
        weight = (powers[0] > floor[0]).double()
        of_clean, of_observed = powers.maximum(floor)
        loss_db = 10 * (of_clean / of_observed).log10()
        low_hz, high_hz = _within(parameters.cutoff_hz, self.config.low_hz, self.config.high_hz)
        low_db, high_db = _within(parameters.slope_db, self.config.low_db, self.config.high_db)
        count = 1 + math.ceil(PER_OCTAVE * math.log2(high_hz / low_hz))
        place = torch.linspace(0, 1, count, dtype=torch.float64, device=weight.device)
        cutoffs = low_hz * (high_hz / low_hz) ** place
        octaves = (freqs_hz / cutoffs[:, None]).clamp(min=1).log2()
        size = (weight * octaves**2).sum(dim=1).clamp(min=1e-9)
        slopes = ((weight * octaves * loss_db).sum(dim=1) / size).clamp(low_db, high_db)
        errors = (weight * (loss_db - slopes[:, None] * octaves) ** 2).sum(dim=1)
        best = int(errors.argmin())
        return self.Parameters(cutoff_hz=float(cutoffs[best]), slope_db=float(slopes[best]))

    def describe(self, parameters: Parameters) -> str:
        """Describe what is known of the filter."""
        cutoff_hz, slope_db = parameters.cutoff_hz, parameters.slope_db
        known = [] if cutoff_hz is None else [f"above {cutoff_hz:.0f} Hz"]
        known += [] if slope_db is None else [f"of {slope_db:g} dB per octave"]
        return " ".join(["undoing a low-pass filter", *known])

    def marks(self, parameters: Parameters) -> Marks:
        """Mark the cutoff."""
        known = parameters.cutoff_hz
        return Marks() if known is None else Marks(frequencies_hz=(known,))


def _within(value: float | None, low: float, high: float) -> tuple[float, float]:
    """Return the range of a parameter, which is a single value if it is given."""
    return (low, high) if value is None else (value, value)


def _bands(waves: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Return the middles (K,) in Hz and the powers (N, K) of bands of audio (N, C, T)."""
    window = torch.hann_window(waves.shape[-1], dtype=torch.float64, device=waves.device)
    power = torch.fft.rfft(waves.double() * window).abs().square().sum(dim=1)
    count = max(1, int(PER_OCTAVE * math.log2(sample_rate / 2 / LOWEST_HZ)))
    place = torch.arange(count + 1, dtype=torch.float64, device=waves.device) / PER_OCTAVE
    edges = (LOWEST_HZ * 2**place * waves.shape[-1] / sample_rate).round().long()
    total = torch.nn.functional.pad(power.cumsum(dim=-1), (1, 0))
    edges = edges.clamp(max=power.shape[-1])
    powers = total[:, edges[1:]] - total[:, edges[:-1]]
    return LOWEST_HZ * 2 ** (place[:-1] + 0.5 / PER_OCTAVE), powers
