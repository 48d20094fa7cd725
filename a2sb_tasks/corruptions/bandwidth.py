"""Bandwidth limitation: every row from the cutoff up is missing."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption, TaskError, detect_cutoff


class Bandwidth(MaskCorruption):
    """Bandwidth extension as masking: M = 1 for rows at and above the cutoff, section 3.2."""

    task = "bandwidth"

    N_FFT = 4096  # fine enough to see a filter's slope at 2 kHz
    LOWEST_SHARE = 0.75  # of the cutoff: no common filter bites below it
    SMALLEST_ROWS = 8  # fewer tell nothing
    FADE_DB = 15.0  # below the band's upper quarter: the filter's, not the music's

    class Config(MaskCorruption.Config):
        """Training draws the cutoff uniformly between ``low_hz`` and ``high_hz``."""

        name: str = "bandwidth"
        low_hz: float = Field(2000.0, gt=0)
        high_hz: float = Field(16000.0, gt=0)

    class Parameters(FrozenConfig):
        """``cutoff_hz``: the highest frequency that the audio holds."""

        cutoff_hz: float = Field(gt=0)

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a cutoff."""
        low, high = self.config.low_hz, self.config.high_hz
        u = float(torch.rand((), generator=generator))
        return self.Parameters(cutoff_hz=low + (high - low) * u)

    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Mark the rows at and above the cutoff."""
        cutoff_hz: float = parameters.cutoff_hz
        return (grid.freqs_hz >= cutoff_hz)[:, None].expand(grid.shape)

    def settle(self, parameters: Any, wave: Tensor, sample_rate: int) -> Any:
        """Lower the cutoff to where the filter that made it begins to bite.

        An anti-alias filter fades the last tenth of its band. That part must count as missing: a
        network that is told it is known takes the fade for the music's own.
        """
        n_fft = self.N_FFT
        if wave.shape[-1] < n_fft:
            return parameters
        window = torch.hann_window(n_fft)
        spectrum = torch.stft(wave.float(), n_fft, n_fft // 2, window=window, return_complex=True)
        level_db = 10 * spectrum.abs().square().mean(dim=(0, 2)).clamp(min=1e-20).log10()
        first = int(self.LOWEST_SHARE * parameters.cutoff_hz * n_fft / sample_rate)
        last = int(parameters.cutoff_hz * n_fft / sample_rate)
        if last - first < self.SMALLEST_ROWS:
            return parameters
        floor_db = level_db[first:last].median() - self.FADE_DB
        present = (level_db[first : last + 1] >= floor_db).nonzero()
        edge_hz = (first + int(present[-1]) + 0.5) * sample_rate / n_fft
        return self.Parameters(cutoff_hz=min(parameters.cutoff_hz, edge_hz))

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse a cutoff that the sample rate can not hold."""
        if parameters.cutoff_hz >= sample_rate / 2:
            raise TaskError(
                f"the cutoff {parameters.cutoff_hz:g} Hz is not below half the sample rate "
                f"({sample_rate / 2:g} Hz): there is nothing above it to extend"
            )

    def detect(self, wave: Tensor, sample_rate: int) -> Any | None:
        """Find the knee where energy ends; None where the audio is full band."""
        found = detect_cutoff(wave, sample_rate).cutoff_hz
        return None if found is None else self.Parameters(cutoff_hz=found)
