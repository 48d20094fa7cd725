"""Mains hum: the rows near 50 or 60 Hz and near their harmonics are missing."""

import torch
from pydantic import Field

from a2sb_core.interfaces import FrozenConfig, MaskCorruption


class Hum(MaskCorruption):
    """Rows within ``width_hz`` of a harmonic of the mains are missing, up to ``top_hz``."""

    task = "hum"

    class Config(MaskCorruption.Config):
        name: str = "hum"
        width_hz: float = Field(30.0, gt=0)
        """Distance from a harmonic within which rows are missing, in Hz."""
        top_hz: float = Field(400.0, gt=0)
        """Frequency from which harmonics are too quiet to matter, in Hz."""

    class Parameters(FrozenConfig):
        mains_hz: float = Field(gt=0)
        """Frequency of the mains, in Hz."""

    def describe(self, parameters):
        return f"removing hum at {parameters.mains_hz:g} Hz and its harmonics"

    def draw(self, duration_s, generator):
        u = float(torch.rand((), generator=generator))
        return self.Parameters(mains_hz=50.0 if u < 0.5 else 60.0)

    def missing(self, grid, parameters):
        order = (grid.freqs_hz / parameters.mains_hz).round().clamp(min=1)
        near = (grid.freqs_hz - order * parameters.mains_hz).abs() < self.config.width_hz
        return (near & (grid.freqs_hz < self.config.top_hz))[:, None].expand(grid.shape)

    def inspect(self, recording, given=None):
        """Choose 50 or 60 Hz, whichever is louder, unless the user gave the frequency."""
        if given is not None:
            return given
        sums, place, rate = {50.0: 0j, 60.0: 0j}, 0, recording.sample_rate
        for block in recording.blocks():
            time_s = (place + torch.arange(block.shape[-1], dtype=torch.float64)) / rate
            for hz in sums:
                wave = torch.exp(-2j * torch.pi * hz * time_s)
                sums[hz] += complex((block.mean(dim=0) * wave).sum())
            place += block.shape[-1]
        return self.Parameters(mains_hz=max(sums, key=lambda hz: abs(sums[hz])))
