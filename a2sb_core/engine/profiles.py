"""What figures of an evaluation are drawn from: averages and histograms that add up over clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from a2sb_core.interfaces import Outcome

N_FFT, HOP = 2048, 512
BANDS = 64
PHASE_BANDS = 9
"""As in the paper's figure: bands of equal width from the cutoff to half the sample rate."""

EXPONENTS = np.linspace(-12.0, 1.0, 131)
"""Edges of the histogram of residuals, as powers of ten."""


def profile(wave: Tensor, sample_rate: int, parameters: Mapping[str, Any]) -> list[float]:
    """Return the mean magnitude of (C, T) audio in ``BANDS`` even bands up to half the rate.

    Where ``parameters`` name gaps, only frames whose middle lies in a gap are counted.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        wave.float(), N_FFT, HOP, window=window, return_complex=True, pad_mode="constant"
    )
    magnitude = spectrum.abs().mean(dim=0)
    if gaps_s := parameters.get("gaps_s"):
        times_s = torch.arange(magnitude.shape[-1]) * HOP / sample_rate
        inside = torch.zeros(len(times_s), dtype=torch.bool)
        for start, end in gaps_s:
            inside |= (times_s >= start) & (times_s < end)
        magnitude = magnitude[:, inside] if bool(inside.any()) else magnitude
    rows = magnitude[: N_FFT // 2].mean(dim=1)
    means: list[float] = rows.reshape(BANDS, -1).mean(dim=1).tolist()
    return means


def phase_histogram(outcome: Outcome) -> dict[str, Any] | None:
    """Count the phase residuals of an outcome, by band and by size; None where it has none."""
    if outcome.residual is None or outcome.residual_hz is None:
        return None
    low_hz = float(outcome.parameters.get("cutoff_hz", 0.0))
    edges_hz = np.linspace(low_hz, outcome.sample_rate / 2, PHASE_BANDS + 1)
    exponents = np.log10(np.maximum(outcome.residual.numpy(), 10 ** EXPONENTS[0]))
    bands = np.digitize(outcome.residual_hz.numpy(), edges_hz[1:-1])
    counts = [
        np.histogram(np.clip(exponents[bands == band], EXPONENTS[0], EXPONENTS[-1]), EXPONENTS)[0]
        for band in range(PHASE_BANDS)
    ]
    return {"edges_hz": edges_hz.tolist(), "counts": [count.tolist() for count in counts]}
