"""Data of the figures: mean magnitudes and histograms, which can be averaged over clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from a2sb_core.interfaces import Stretches

N_FFT, HOP = 2048, 512
BANDS = 64
HISTOGRAM_BANDS = 9
"""Number of bands of equal width, as in the paper's figure of the phase residual."""

EXPONENTS = np.linspace(-12.0, 1.0, 131)
"""Edges of the histograms' bins, as powers of ten."""


def profile(wave: Tensor, sample_rate: int, stretches_s: Stretches = ()) -> list[float]:
    """Return the mean magnitude of (C, T) audio in ``BANDS`` bands of equal width.

    Args:
        wave: the audio, (C, T).
        sample_rate: in Hz; the bands reach up to half of it.
        stretches_s: only frames whose middle lies in one of these stretches (start, end) in
            seconds count; all frames if there are none.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        wave.float(), N_FFT, HOP, window=window, return_complex=True, pad_mode="constant"
    )
    magnitude = spectrum.abs().mean(dim=0)
    times_s = torch.arange(magnitude.shape[-1]) * HOP / sample_rate
    inside = torch.zeros(len(times_s), dtype=torch.bool)
    for start, end in stretches_s:
        inside |= (times_s >= start) & (times_s < end)
    if bool(inside.any()):
        magnitude = magnitude[:, inside]
    rows = magnitude[: N_FFT // 2].mean(dim=1)
    means: list[float] = rows.reshape(BANDS, -1).mean(dim=1).tolist()
    return means


def histograms(
    diagnostics: Mapping[str, Tensor], low_hz: float, sample_rate: int
) -> dict[str, dict[str, Any]]:
    """Count the values of diagnostics by band and by size.

    Args:
        diagnostics: values (N,) by name; those without frequencies (``_hz``) are left out.
        low_hz: lower edge of the lowest band; the highest one ends at half the sample rate.
        sample_rate: in Hz.

    Returns:
        By name the edges of the bands, ``edges_hz``, and the ``counts`` of each band between the
        powers of ten ``EXPONENTS``.
    """
    edges_hz = np.linspace(low_hz, sample_rate / 2, HISTOGRAM_BANDS + 1)
    found = {}
    for name, values in diagnostics.items():
        freqs_hz = diagnostics.get(f"{name}_hz")
        if freqs_hz is None:
            continue
        exponents = np.log10(np.maximum(values.numpy(), 10 ** EXPONENTS[0]))
        exponents = np.clip(exponents, EXPONENTS[0], EXPONENTS[-1])
        bands = np.digitize(freqs_hz.numpy(), edges_hz[1:-1])
        counts = [
            np.histogram(exponents[bands == band], EXPONENTS)[0].tolist()
            for band in range(HISTOGRAM_BANDS)
        ]
        found[name] = {"edges_hz": edges_hz.tolist(), "counts": counts}
    return found
