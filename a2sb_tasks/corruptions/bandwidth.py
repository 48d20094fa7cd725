"""Bandwidth limitation: every row from the cutoff up is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from pydantic import Field, model_validator
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
        """Training draws the cutoff uniformly."""

        name: str = "bandwidth"
        low_hz: float = Field(2000.0, gt=0)
        """Lowest cutoff drawn."""
        high_hz: float = Field(16000.0, gt=0)
        """Highest cutoff drawn."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            if self.low_hz > self.high_hz:
                raise ValueError(
                    f"low_hz ({self.low_hz:g}) must not exceed high_hz ({self.high_hz:g})"
                )
            return self

    class Parameters(FrozenConfig):
        """Where the audio ends."""

        cutoff_hz: float = Field(gt=0)
        """The highest frequency that the audio holds."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a cutoff."""
        low, high = self.config.low_hz, self.config.high_hz
        u = float(torch.rand((), generator=generator))
        return self.Parameters(cutoff_hz=low + (high - low) * u)

    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Mark the rows at and above the cutoff."""
        cutoff_hz: float = parameters.cutoff_hz
        return (grid.freqs_hz >= cutoff_hz)[:, None].expand(grid.shape)

    def settle(self, parameters: Any, blocks: Iterable[Tensor], sample_rate: int) -> Any:
        """Lower the cutoff to where the filter that made it begins to bite.

        An anti-alias filter fades the last tenth of its band. That part must count as missing: a
        network that is told it is known takes the fade for the music's own.
        """
        first = int(self.LOWEST_SHARE * parameters.cutoff_hz * self.N_FFT / sample_rate)
        last = int(parameters.cutoff_hz * self.N_FFT / sample_rate)
        power = _mean_power(blocks, self.N_FFT)
        if power is None or last - first < self.SMALLEST_ROWS:
            return parameters
        level_db = 10 * power.clamp(min=1e-20).log10()
        floor_db = level_db[first:last].median() - self.FADE_DB
        present = (level_db[first : last + 1] >= floor_db).nonzero()
        edge_hz = (first + int(present[-1]) + 0.5) * sample_rate / self.N_FFT
        return self.Parameters(cutoff_hz=min(parameters.cutoff_hz, edge_hz))

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse a cutoff that the sample rate can not hold."""
        if parameters.cutoff_hz >= sample_rate / 2:
            raise TaskError(
                f"the cutoff {parameters.cutoff_hz:g} Hz is not below half the sample rate "
                f"({sample_rate / 2:g} Hz): there is nothing above it to extend"
            )

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Find the knee where energy ends; None where the audio is full band."""
        found = detect_cutoff(blocks, sample_rate).cutoff_hz
        return None if found is None else self.Parameters(cutoff_hz=found)


def _mean_power(blocks: Iterable[Tensor], n_fft: int) -> Tensor | None:
    """Average power spectrum of audio in blocks (C, n), (n_fft/2 + 1,); None: too short."""
    hop, window = n_fft // 2, torch.hann_window(n_fft)
    total, count, rest = torch.zeros(n_fft // 2 + 1, dtype=torch.float64), 0, None
    for block in blocks:
        wave = block.float() if rest is None else torch.cat([rest, block.float()], dim=-1)
        if wave.shape[-1] < n_fft:
            rest = wave
            continue
        frames = wave.unfold(-1, n_fft, hop)
        total += torch.fft.rfft(frames * window).abs().square().mean(dim=0).sum(dim=0)
        count += frames.shape[1]
        rest = wave[:, frames.shape[1] * hop :]
    return total / count if count else None
