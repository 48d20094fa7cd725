"""Errors of estimates of the levels above a cutoff."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from envelope_data import FREQS_HZ, LOW_HZ, TOP_HZ, Track, decibel
from torch import Tensor, nn

from a2sb_core.errors import TrainingError
from a2sb_tasks.envelope.bands import at_bins, levels_db
from a2sb_tasks.envelope.model import EnvelopeModel
from a2sb_tasks.envelope.prediction import predicted_power

POOLED = 8
"""Frames over which levels are compared: 93 ms."""
OCTAVE = 3
"""Third-octaves of an octave."""
LIMIT_HZ = 20_200.0
"""Upper edge of the highest third-octave that is compared."""
RIDGE_DB2 = 10.0
"""Variance in dB^2 that is added to the known levels of the linear estimates."""

Estimate = Callable[[Tensor, float], Tensor]
"""Levels in dB above a cutoff by 93 ms (bands, N), from the power (F, W) and the cutoff in Hz."""


def bands_above(cutoff_hz: float) -> int:
    """Return the number of third-octaves from the cutoff up to ``LIMIT_HZ``."""
    return int(3 * math.log2(LIMIT_HZ / cutoff_hz))


def third_octaves(
    values: Tensor, low_hz: Tensor, cutoff_hz: float, first: int, stop: int
) -> Tensor:
    """Return the mean of rows of values (n, N) in third-octaves, numbered from the cutoff up.

    Args:
        values: power of each row.
        low_hz: frequency of each row, or its lower edge, (n,).
        cutoff_hz: lower edge of third-octave 0.
        first: number of the first third-octave; negative below the cutoff.
        stop: number after the last one.
    """
    number = (3 * (low_hz / cutoff_hz).log2() + 1e-4).floor()
    return torch.stack([values[number == band].mean(dim=0) for band in range(first, stop)])


def levels_of(power: Tensor, cutoff_hz: float, first: int, stop: int) -> Tensor:
    """Return levels in dB of third-octaves by 93 ms, (bands, N), from power (F, W)."""
    width = power.shape[-1] // POOLED * POOLED
    pooled = power[:, :width].unflatten(1, (-1, POOLED)).mean(dim=2)
    return decibel(third_octaves(pooled, FREQS_HZ, cutoff_hz, first, stop))


def by_model(model: EnvelopeModel) -> Estimate:
    """Return the estimate of a model, which is used as in the guess `replication`."""

    def estimate(power: Tensor, cutoff_hz: float) -> Tensor:
        known = (cutoff_hz > FREQS_HZ)[:, None]
        levels, share = levels_db(power[None], known, FREQS_HZ)
        joined = torch.where(share > 0.5, levels, model(levels, share)[0])
        found = at_bins(joined, FREQS_HZ, power.shape[-1])[0]
        return levels_of(10 ** (found / 10), cutoff_hz, 0, bands_above(cutoff_hz))

    return estimate


def by_shipped_model(power: Tensor, cutoff_hz: float) -> Tensor:
    """Return the estimate of the shipped model."""
    known = (cutoff_hz > FREQS_HZ)[:, None]
    found = predicted_power(power[None], known, FREQS_HZ)[1][0]
    return levels_of(found, cutoff_hz, 0, bands_above(cutoff_hz))


def baselines(tracks: Sequence[Track], cutoff_hz: float) -> Mapping[str, Estimate]:
    """Fit the simple estimates on the full-band tracks of the training split.

    Raises:
        TrainingError: there is no such track.
    """
    count = bands_above(cutoff_hz)
    below = int(3 * math.log2(cutoff_hz / float(LOW_HZ[0])))
    full = [track for track in tracks if track.bandwidth_hz >= TOP_HZ]
    if not full:
        raise TrainingError("no track of the split `train` is full band: no baseline can be fitted")
    levels = [_track_levels(track, cutoff_hz, -below, count) for track in full]
    whole = torch.stack([decibel((10 ** (x / 10)).mean(dim=1)) for x in levels])
    constant = (whole[:, below:] - _octave(whole.T[:below]).T).mean(dim=0)[:, None]
    of_tracks, of_stretches = Linear(whole, below), Linear(torch.cat(levels, dim=1).T, below)

    def octave(power: Tensor, cutoff_hz: float) -> Tensor:
        return _octave(levels_of(power, cutoff_hz, -OCTAVE, 0)) + constant

    def by_recording(power: Tensor, cutoff_hz: float) -> Tensor:
        known = levels_of(power, cutoff_hz, -below, 0)
        whole = decibel((10 ** (known / 10)).mean(dim=1, keepdim=True))
        course = _octave(known)
        return of_tracks(whole) + course - decibel((10 ** (course / 10)).mean())

    def by_stretch(power: Tensor, cutoff_hz: float) -> Tensor:
        return of_stretches(levels_of(power, cutoff_hz, -below, 0))

    return {
        "octave below, constant by band": octave,
        "octave below, Gaussian of recordings": by_recording,
        "Gaussian of stretches": by_stretch,
    }


def _octave(known: Tensor) -> Tensor:
    """Return the mean level of the highest known octave, (1, N)."""
    return known[-OCTAVE:].mean(dim=0, keepdim=True)


def _track_levels(track: Track, cutoff_hz: float, first: int, stop: int) -> Tensor:
    """Return levels (bands, N) by 93 ms from the semitones of a track."""
    power = track.power().T
    pooled = power[:, : power.shape[1] // 2 * 2].unflatten(1, (-1, 2)).mean(dim=2)
    return decibel(third_octaves(pooled, LOW_HZ, cutoff_hz, first, stop))


class Linear:
    """Conditional mean of missing levels given known ones, for jointly Gaussian levels.

    Levels count relative to the mean known level, so that a gain changes nothing.

    Args:
        levels: levels in dB of training examples, (n, bands); the first ``known`` are known.
        known: number of known bands.
    """

    def __init__(self, levels: Tensor, known: int) -> None:
        relative = levels - levels[:, :known].mean(dim=1, keepdim=True)
        self.mean, self.known = relative.mean(dim=0)[:, None], known
        covariance = torch.cov(relative.T)
        within = covariance[:known, :known] + RIDGE_DB2 * torch.eye(known)
        self.matrix = torch.linalg.solve(within, covariance[:known, known:]).T

    def __call__(self, known: Tensor) -> Tensor:
        """Return the expected missing levels (missing, N) given (known, N)."""
        reference = known.mean(dim=0, keepdim=True)
        mean_known, mean_missing = self.mean.split([self.known, len(self.mean) - self.known])
        return mean_missing + reference + self.matrix @ (known - reference - mean_known)


def errors(estimate: Estimate, powers: Sequence[Tensor], cutoff_hz: float) -> Tensor:
    """Return the errors of an estimate by third-octave, (3, bands), averaged over clips.

    They are the mean absolute error in dB, the absolute error in dB of the mean over time, and the
    correlation over time with the truth. ``powers`` are the clips, (F, W) each.
    """
    results = []
    for power in powers:
        truth = levels_of(power, cutoff_hz, 0, bands_above(cutoff_hz))
        found = estimate(power, cutoff_hz)
        difference = found - truth
        centred = [x - x.mean(dim=1, keepdim=True) for x in (found, truth)]
        correlation = nn.functional.cosine_similarity(*centred)
        constant = difference.mean(dim=1).abs()
        results.append(torch.stack([difference.abs().mean(dim=1), constant, correlation]))
    return torch.stack(results).mean(dim=0)


def table(estimates: Mapping[str, Estimate], powers: Sequence[Tensor], cutoff_hz: float) -> str:
    """Return a table in Markdown with a row for each estimate, and a column by third-octave."""
    edges = [cutoff_hz * 2 ** (band / 3) / 1000 for band in range(bands_above(cutoff_hz))]
    kinds = ("mean absolute error, dB", "error of the mean over time, dB", "correlation over time")
    found = {name: errors(estimate, powers, cutoff_hz) for name, estimate in estimates.items()}
    lines = [f"Cutoff {cutoff_hz:g} Hz, {len(powers)} clips; third-octaves from, in kHz:"]
    for number, kind in enumerate(kinds):
        lines += ["", f"| {kind} | " + " | ".join(f"{edge:.1f}" for edge in edges) + " |"]
        lines += ["|---" * (len(edges) + 1) + "|"]
        for name, values in found.items():
            cells = " | ".join(f"{value:.2f}" for value in values[number].tolist())
            lines += [f"| {name} | {cells} |"]
    return "\n".join(lines)
