"""Search for the passages of a recording whose surroundings are most like those of a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]

SURROUNDINGS_S = 0.35
"""Seconds on each side of a gap that are compared."""
SHORTEST_S = 0.02
"""Surroundings that are shorter in all are too few to compare."""
SMALLEST_CORRELATION = 0.1
"""Passages that are less similar are not used."""
SPACING_S = 0.05
"""Smallest distance between two passages, in seconds."""
SOFTEST = 1e-4
"""Power of the softest surroundings that are compared, relative to those of the gap (-40 dB)."""


@dataclass(frozen=True)
class Passage:
    """A passage that may replace a gap.

    Attributes:
        start: index of its first sample in the recording.
        gain: factor that brings its surroundings to the level of those of the gap.
        correlation: correlation of the surroundings, in [0, 1].
    """

    start: int
    gain: float
    correlation: float


def find_passages(
    wave: Array, known: npt.NDArray[np.bool_], gap: tuple[int, int], sample_rate: int, count: int
) -> list[Passage]:
    """Return the passages whose surroundings correlate most with those of a gap.

    Args:
        wave: channels of a recording (C, T), compared together.
        known: True for samples that are not lost, (T,); neither a passage nor its surroundings
            contain any other.
        gap: first sample of the gap, and the sample after its last one.
        sample_rate: sample rate in Hz.
        count: largest number of passages.

    Returns:
        The passages, the most similar one first; none if no passage is similar.
    """
    start, stop = gap
    before, after = _known_around(known, gap, round(SURROUNDINGS_S * sample_rate))
    size = before + stop - start + after
    if before + after < SHORTEST_S * sample_rate or size >= wave.shape[-1]:
        return []
    template = wave[:, start - before : stop + after].copy()
    template[:, before : before + stop - start] = 0
    energy = float((template**2).sum())
    if energy == 0:
        return []
    products = _correlate(wave, template)
    sums = np.concatenate([[0.0], (wave**2).sum(axis=0).cumsum()])
    lost = np.concatenate([[0], (~known).cumsum()])
    place = np.arange(len(products))
    energies = sums[place + before] - sums[place] + sums[place + size] - sums[place + size - after]
    usable = (lost[place + size] == lost[place]) & (energies > SOFTEST * energy)
    scores = np.where(usable, products / np.sqrt(np.maximum(energies, 1e-300) * energy), -1.0)
    return [
        Passage(best + before, float(np.sqrt(energy / energies[best])), min(1.0, scores[best]))
        for best in _peaks(scores, round(SPACING_S * sample_rate), count)
    ]


def _peaks(scores: Array, spacing: int, count: int) -> list[int]:
    """Return the places of the highest scores, at least ``spacing`` apart."""
    scores, found = scores.copy(), []
    for _ in range(count):
        best = int(scores.argmax())
        if scores[best] < SMALLEST_CORRELATION:
            break
        found.append(best)
        scores[max(0, best - spacing) : best + spacing] = -1.0
    return found


def _known_around(known: npt.NDArray[np.bool_], gap: tuple[int, int], most: int) -> tuple[int, int]:
    """Return the number of known samples right before and right after a gap, at most ``most``."""
    left = known[max(0, gap[0] - most) : gap[0]][::-1]
    right = known[gap[1] : gap[1] + most]
    before, after = (len(x) if x.all() else int((~x).argmax()) for x in (left, right))
    return before, after


def _correlate(wave: Array, template: Array) -> Array:
    """Return the products of a template (C, n) with each place of a recording (C, T)."""
    count = wave.shape[-1] - template.shape[-1] + 1
    size = fft.next_fast_len(wave.shape[-1], real=True)
    spectrum = (fft.rfft(wave, size) * fft.rfft(template, size).conj()).sum(axis=0)
    products: Array = fft.irfft(spectrum, size)[:count]
    return products
