"""Search for the passage of a recording whose surroundings are most like those of a gap."""

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


def find_passage(
    wave: Array, known: npt.NDArray[np.bool_], gap: tuple[int, int], sample_rate: int
) -> Passage | None:
    """Return the passage whose surroundings correlate most with those of a gap.

    Args:
        wave: channels of a recording (C, T), compared together.
        known: True for samples that are not lost, (T,); neither a passage nor its surroundings
            contain any other.
        gap: first sample of the gap, and the sample after its last one.
        sample_rate: sample rate in Hz.

    Returns:
        The passage; None if no passage is similar.
    """
    start, stop = gap
    before, after = _known_around(known, gap, round(SURROUNDINGS_S * sample_rate))
    size = before + stop - start + after
    if before + after < SHORTEST_S * sample_rate or size >= wave.shape[-1]:
        return None
    template = wave[:, start - before : stop + after].copy()
    template[:, before : before + stop - start] = 0
    energy = float((template**2).sum())
    if energy == 0:
        return None
    products = _correlate(wave, template)
    sums = np.concatenate([[0.0], (wave**2).sum(axis=0).cumsum()])
    lost = np.concatenate([[0], (~known).cumsum()])
    place = np.arange(len(products))
    energies = sums[place + before] - sums[place] + sums[place + size] - sums[place + size - after]
    usable = (lost[place + size] == lost[place]) & (energies > SOFTEST * energy)
    if not usable.any():
        return None
    scores = np.where(usable, products / np.sqrt(np.maximum(energies, 1e-300) * energy), -1.0)
    best = int(scores.argmax())
    if scores[best] < SMALLEST_CORRELATION:
        return None
    gain = float(np.sqrt(energy / energies[best]))
    return Passage(best + before, gain, min(1.0, float(scores[best])))


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
