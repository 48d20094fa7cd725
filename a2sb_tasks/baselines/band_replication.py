"""Spectral band replication: a baseline that copies the known band upward, without training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import AudioRestorer, ComponentConfig, TaskError


class BandReplication(AudioRestorer):
    """Fills each octave above the cutoff with a copy of the octave below the cutoff.

    The level falls by ``slope_db`` for each octave above the known band.
    """

    class Config(ComponentConfig):
        """Settings of the STFT, and the level of the copies."""

        name: str = "band_replication"
        n_fft: int = 2048
        """Size of the STFT, in samples."""
        hop_length: int = 512
        """Hop of the STFT, in samples."""
        slope_db: float = Field(12.0, ge=0)
        """Decrease of the level, in dB per octave."""

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Extend the bandwidth of (C, T) audio above ``cutoff_hz``.

        Raises:
            TaskError: the task is not `bandwidth`, or ``cutoff_hz`` is missing.
        """
        if task != "bandwidth" or "cutoff_hz" not in parameters:
            raise TaskError(
                "band_replication supports only the task `bandwidth`, and needs a cutoff_hz"
            )
        n_fft, hop = self.config.n_fft, self.config.hop_length
        window = torch.hann_window(n_fft)
        padded = torch.nn.functional.pad(wave.float(), (0, n_fft))  # short audio can be reflected
        spectrum = torch.stft(padded, n_fft, hop, window=window, return_complex=True)
        edge = max(2, math.ceil(parameters["cutoff_hz"] * n_fft / sample_rate))
        if edge >= spectrum.shape[1]:
            return wave
        rows = torch.arange(edge, spectrum.shape[1])
        octaves = torch.log2(rows / edge).floor() + 1
        source = (rows / 2**octaves).round().long().clamp(max=edge - 1)
        gain = 10 ** (-self.config.slope_db * octaves / 20)
        # Content of one frequency alternates in sign from row to row. Copies of a row that do not
        # alternate would cancel each other.
        gain = gain * (1 - 2 * ((rows - source) % 2))
        spectrum[:, rows] = spectrum[:, source] * gain[None, :, None]
        return torch.istft(spectrum, n_fft, hop, window=window, length=wave.shape[-1])
