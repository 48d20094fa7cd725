"""Metric of the stereo image: coherence and level difference of the channels, by band."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome, TaskError

BANDS_PER_OCTAVE = 3
LOWEST_HZ = 125.0
SIZE, HOP = 2048, 1024
FLOOR_DB = 60.0
"""Bands whose power is this far below the loudest one have no image."""


class Image(Metric):
    """Mean absolute error of the image of stereo audio, by third-octave.

    ``coherence`` compares the correlation of left and right, in [0, 2]. ``level`` compares the
    difference of their levels in dB. With a known cutoff only bands above it count, and with known
    gaps only frames inside. The metric does not apply to mono audio.
    """

    higher_is_better = False

    class Config(ComponentConfig):
        """The property that is compared."""

        name: str = "stereo_image"
        of: Literal["coherence", "level"] = "coherence"
        """``coherence`` or ``level``."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare all bands of stereo audio (2, T).

        Raises:
            TaskError: there are not two channels.
        """
        found = self.judge(Outcome(truth, estimate, sample_rate))
        if found is None:
            raise TaskError("the metric `stereo_image` needs two channels")
        return found

    def judge(self, outcome: Outcome) -> float | None:
        """Return the error; None for audio that is not stereo."""
        if len(outcome.truth) != 2:
            return None
        bands = _bands(outcome.sample_rate, outcome.parameters.get("cutoff_hz"))
        inside = _frames(outcome)
        true, found = (_moments(wave, bands, inside) for wave in (outcome.truth, outcome.estimate))
        power = true[:, :2].sum(dim=1)
        counted = power > power.max() * 10 ** (-FLOOR_DB / 10)
        if not bool(counted.any()):
            return 0.0
        values = _coherence if self.config.of == "coherence" else _level_db
        return float((values(true) - values(found))[counted].abs().mean())


def _bands(sample_rate: int, cutoff_hz: float | None) -> Tensor:
    """Return which row belongs to which band, (N, F), as zeros and ones."""
    freqs_hz = torch.arange(SIZE // 2 + 1) * sample_rate / SIZE
    number = (BANDS_PER_OCTAVE * (freqs_hz.clamp(min=1) / LOWEST_HZ).log2()).floor()
    lowest = 0.0 if cutoff_hz is None else cutoff_hz
    used = (freqs_hz >= max(LOWEST_HZ, float(lowest))) & (freqs_hz < 0.95 * sample_rate / 2)
    return torch.stack([(number == n) & used for n in torch.unique(number[used])]).double()


def _frames(outcome: Outcome) -> Tensor | None:
    """Return which frames lie in gaps, (W,); None if there are none."""
    gaps_s = outcome.parameters.get("gaps_s")
    if not gaps_s:
        return None
    times_s = torch.arange(1 + outcome.truth.shape[-1] // HOP) * HOP / outcome.sample_rate
    inside = torch.zeros(len(times_s), dtype=torch.bool)
    for start, end in gaps_s:
        inside |= (times_s >= start) & (times_s < end)
    return inside if bool(inside.any()) else None


def _moments(wave: Tensor, bands: Tensor, inside: Tensor | None) -> Tensor:
    """Return the power of left and right and their cross-power in each band, (N, 3)."""
    window = torch.hann_window(SIZE, dtype=torch.float64)
    left, right = torch.stft(
        wave.double(), SIZE, HOP, window=window, return_complex=True, pad_mode="constant"
    )
    parts = torch.stack(
        [left.abs().square(), right.abs().square(), (left * right.conj()).real], dim=-1
    )
    parts = parts if inside is None else parts[:, inside]
    return bands @ parts.sum(dim=1)


def _coherence(moments: Tensor) -> Tensor:
    left, right, cross = moments.unbind(dim=1)
    return cross / (left * right).clamp(min=1e-20).sqrt()


def _level_db(moments: Tensor) -> Tensor:
    left, right, _ = moments.clamp(min=1e-20).unbind(dim=1)
    return 10 * (left / right).log10().clamp(-4, 4)
