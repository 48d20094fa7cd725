"""Levels of spectrograms by third-octave band and short stretch of time."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST, HIGHEST = -12, 13
"""Third-octaves from 1 kHz of the lowest and of the highest band (62.5 Hz to 20.2 kHz)."""
BANDS = HIGHEST - LOWEST + 1
FRAMES = 4
"""Frames of a spectrogram that are one stretch of time (46 ms at a hop of 512 and 44.1 kHz)."""
FLOOR = 1e-10
"""Power density that is added before the logarithm; music at -20 dBFS is far above it."""


def centres_hz() -> Tensor:
    """Return the middle frequencies of the bands in Hz, (BANDS,)."""
    return 1000 * 2 ** (torch.arange(LOWEST, HIGHEST + 1) / 3)


def band_of(freqs_hz: Tensor) -> Tensor:
    """Return the band of each frequency; those beyond the outer bands belong to them."""
    number = (3 * (freqs_hz.clamp(min=1e-3) / 1000).log2()).round().long() - LOWEST
    return number.clamp(0, BANDS - 1)


def levels_db(
    power: Tensor, known: Tensor, freqs_hz: Tensor, start: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the level of each band and stretch, and the share of it that is known.

    Args:
        power: power densities (B, F, W).
        known: boolean tensor, broadcastable to (B, F, W), True where the power is known.
        freqs_hz: frequencies of the rows (F,), in Hz.
        start: number of the first frame in the recording; stretches begin at multiples of
            ``FRAMES``.

    Returns:
        Mean known density in dB, and the known share in [0, 1], both (B, BANDS, N); N stretches
        cover all frames.
    """
    weight = known.expand_as(power).to(power.dtype)
    before = start % FRAMES
    after = -(before + power.shape[-1]) % FRAMES

    def pooled(x: Tensor) -> Tensor:
        rows = x.new_zeros(len(x), BANDS, x.shape[-1])
        rows.index_add_(1, band_of(freqs_hz).to(x.device), x)
        whole = torch.nn.functional.pad(rows, (before, after))
        return whole.reshape(*whole.shape[:2], -1, FRAMES).sum(dim=-1)

    total, count, every = pooled(power * weight), pooled(weight), pooled(torch.ones_like(weight))
    mean = total / count.clamp(min=1)
    return 10 * (mean + FLOOR).log10(), count / every.clamp(min=1)


def at_bins(values: Tensor, freqs_hz: Tensor, frames: int, start: int = 0) -> Tensor:
    """Interpolate values (B, BANDS, N) between the middles of bands and stretches, (B, F, W)."""
    position = 3 * (freqs_hz.clamp(min=1.0) / 1000).log2() - LOWEST
    rows = _interpolated(values, position.to(values), dim=1)
    place = (torch.arange(frames, device=values.device) + start % FRAMES + 0.5) / FRAMES - 0.5
    return _interpolated(rows, place.to(values), dim=2)


def _interpolated(values: Tensor, position: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along a dimension at positions (n,), constant beyond the ends."""
    position = position.clamp(0, values.shape[dim] - 1)
    low = position.floor().long().clamp(max=max(0, values.shape[dim] - 2))
    share = position - low
    shape = [1, 1, 1]
    shape[dim] = len(position)
    high = (low + 1).clamp(max=values.shape[dim] - 1)
    share = share.reshape(shape)
    return values.index_select(dim, low) * (1 - share) + values.index_select(dim, high) * share
