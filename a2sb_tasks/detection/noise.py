"""Detector of noise in place of music, with which receivers and editors fill what they lost."""

from __future__ import annotations

import numpy as np

from a2sb_core.interfaces import FloatArray
from a2sb_tasks.detection.finding import Run
from a2sb_tasks.detection.silence import AROUND_S, BRIEF_S, interrupts

SHORTEST_NOISE_S, LONGEST_NOISE_S = 0.005, 2.0
LOUDEST_NOISE = 10 ** (-24 / 20)
"""Largest peak of the noise, relative to the level of the sound before it."""
STEADY = 2.0
"""Largest ratio of the powers of the thirds of the noise; reverberation decays."""
LAGS = 8
LARGEST_CORRELATION = 0.15
"""Largest sum of squared autocorrelations at the first lags; music and its echo are correlated."""


def noise_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find steady white noise in audio (C, T) that interrupts music, at least 24 dB softer."""
    block, around = max(1, round(BRIEF_S * sample_rate)), round(AROUND_S / BRIEF_S)
    shortest = max(3 * LAGS, round(SHORTEST_NOISE_S * sample_rate))
    longest = round(LONGEST_NOISE_S * sample_rate)
    envelope = np.abs(wave).max(axis=0)
    count = len(envelope) // block
    peak = envelope[: count * block].reshape(count, block).max(axis=1, initial=0.0)
    limit = LOUDEST_NOISE * _level_before(wave, block, count, around)
    found: list[Run] = []
    seen = around  # the first block that no examined run contains
    for place in np.flatnonzero((peak > 0) & (peak <= limit)):
        if place < seen:
            continue
        loud = np.flatnonzero(peak[place : place + longest // block + 2] > limit[place])
        if not len(loud):
            continue
        seen = int(place + loud[0])
        first, last = (int(place) - around) * block, seen * block
        inner = first + np.flatnonzero(envelope[first : last + block] > limit[place])
        end = int(inner[inner >= last][0])
        start = int(inner[inner < place * block][-1]) + 1
        if (
            shortest <= end - start <= longest
            and interrupts(wave, start, end, sample_rate)
            and _is_noise(wave[:, start:end])
        ):
            found.append((start, end))
    return found


def _level_before(wave: FloatArray, block: int, count: int, around: int) -> FloatArray:
    """Return the RMS level of the ``around`` blocks before each block; 0 if there are fewer."""
    blocks = wave[:, : count * block].reshape(len(wave), count, block)
    energy = np.concatenate([[0.0], np.cumsum(np.square(blocks, dtype=np.float64).mean((0, 2)))])
    level = np.zeros(count)
    level[around:] = np.sqrt(np.maximum(energy[around:-1] - energy[: -around - 1], 0.0) / around)
    return level


def _is_noise(wave: FloatArray) -> bool:
    """Return whether every channel that is not silent contains steady white noise."""
    sounding = [channel.astype(np.float64) for channel in wave if channel.any()]
    for channel in sounding:
        powers = [float(np.mean(part**2)) for part in np.array_split(channel, 3)]
        lagged = [float(channel[lag:] @ channel[:-lag]) for lag in range(1, LAGS + 1)]
        correlation = float(np.sum(np.square(lagged))) / float(channel @ channel) ** 2
        if max(powers) > STEADY * min(powers) or correlation > LARGEST_CORRELATION:
            return False
    return bool(sounding)
