"""The missing part of a recording, to which ``region: missing`` restricts a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

Region = Literal["all", "missing"]


def missing_bins(
    magnitudes: Tensor, sample_rate: int, hop_length: int, parameters: Mapping[str, Any]
) -> Tensor | None:
    """Return the missing rows or frames of magnitudes (C, F, W); None if nothing is missing.

    These are the rows from ``cutoff_hz`` on, or the frames whose middle lies in one of ``gaps_s``.
    """
    rows, frames = magnitudes.shape[-2:]
    if "cutoff_hz" in parameters:
        freqs_hz = torch.arange(rows) * sample_rate / (2 * (rows - 1))
        part = magnitudes[:, freqs_hz >= parameters["cutoff_hz"]]
    elif "gaps_s" in parameters:
        times_s = torch.arange(frames) * hop_length / sample_rate
        part = magnitudes[:, :, _within(times_s, parameters["gaps_s"])]
    else:
        return None
    return part if part.numel() else None


def missing_samples(wave: Tensor, sample_rate: int, parameters: Mapping[str, Any]) -> Tensor | None:
    """Return the missing part of audio (C, T): its high frequencies, or the samples of gaps."""
    if "cutoff_hz" in parameters:
        spectrum = torch.fft.rfft(wave)
        freqs_hz = torch.arange(spectrum.shape[-1]) * sample_rate / wave.shape[-1]
        kept = spectrum * (freqs_hz >= parameters["cutoff_hz"])
        highs: Tensor = torch.fft.irfft(kept, wave.shape[-1])
        return highs
    if "gaps_s" in parameters:
        times_s = torch.arange(wave.shape[-1], dtype=torch.float64) / sample_rate
        part = wave[:, _within(times_s, parameters["gaps_s"])]
        return part if part.numel() else None
    return None


def _within(times_s: Tensor, gaps_s: Any) -> Tensor:
    inside = torch.zeros(len(times_s), dtype=torch.bool)
    for start, end in gaps_s:
        inside |= (times_s >= start) & (times_s < end)
    return inside
