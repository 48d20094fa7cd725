"""Continuation of tones through a short gap by an autoregressive model.

A small network fills a gap with sound of the right spectrum, but replaces tones by noise. An
autoregressive model does the opposite: it continues tones, but decays in place of noise. Low
frequencies of the result are therefore taken from the autoregressive model, and high frequencies
only near the edges of the gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Gap = tuple[int, int]
"""First sample of a gap, and the first sample after it."""

LONGEST_S = 0.6
"""Longest gap in seconds: in the middle of longer ones, a continued tone has decayed."""
ROUNDING_S = 1e-6
CONTEXT_S = 0.372
"""Seconds on each side from which the autoregressive model is estimated."""
ORDER_S = 0.093
"""Order of the autoregressive model, in seconds."""
MOST_ORDER, MOST_CONTEXT = 4096, 16384
ITERATIONS = 2
SPLIT_HZ = 1500.0
"""Frequency below which the autoregressive model is used in the whole gap."""
FADE_S = 0.08
"""Distance from the edges, in seconds, at which the model has faded out at higher frequencies."""
FILTER_ORDER = 4
ROOM_S = 0.05
"""Padding in seconds that keeps the edge effects of the filter out of the gap."""


def short_gaps(gaps_s: Sequence[tuple[float, float]], sample_rate: int) -> list[Gap]:
    """Return the gaps through which tones are continued, in samples."""
    return [
        (math.floor(start * sample_rate), math.ceil(end * sample_rate))
        for start, end in gaps_s
        if start > 0 and end - start <= LONGEST_S + ROUNDING_S
    ]


def context_of(sample_rate: int) -> int:
    """Return the number of samples on each side of a gap that the model uses."""
    return min(MOST_CONTEXT, round(CONTEXT_S * sample_rate))


def needed_from(gaps: Sequence[Gap], sample_rate: int, sample: int) -> int:
    """Return the first sample that is needed for the result from ``sample`` on."""
    for start, stop in reversed(gaps):
        if stop > sample:
            sample = min(sample, start - context_of(sample_rate))
    return max(0, sample)


def most_held(gaps: Sequence[Gap], sample_rate: int) -> int:
    """Return the largest number of samples that :func:`carry` keeps between two blocks."""
    longest = max((stop - start for start, stop in gaps), default=0)
    return longest + 2 * context_of(sample_rate) if gaps else 0


def carry(
    blocks: Iterable[Array], gaps: Sequence[Gap], sample_rate: int, first: int = 0
) -> Iterator[Array]:
    """Continue tones through the gaps of a recording, given in blocks (C, n) from ``first`` on.

    Samples outside of the gaps are unchanged. The sizes of the yielded blocks differ from those of
    the given ones.
    """
    context = context_of(sample_rate)
    pending = [gap for gap in gaps if gap[1] > first]
    held: Array | None = None
    for block in blocks:
        held = block.copy() if held is None else np.concatenate([held, block], axis=-1)
        while pending and pending[0][1] + context <= first + held.shape[-1]:
            _carry_one(held, pending.pop(0), sample_rate, first)
        until = held.shape[-1]
        if pending:
            until = min(until, pending[0][0] - context - first)
        if until > 0:
            yield held[:, :until]
            held = held[:, until:].copy()
            first += until
    if held is not None:
        for gap in pending:
            if gap[1] < first + held.shape[-1]:
                _carry_one(held, gap, sample_rate, first)
        yield held


def _carry_one(wave: Array, gap: Gap, sample_rate: int, first: int) -> None:
    """Continue tones through one gap, in place.

    The peak of the result does not exceed the peak of the sides and the previous content.
    """
    from a2sb_tasks.baselines import autoregressive  # takes long to import

    start, stop = gap[0] - first, gap[1] - first
    context = context_of(sample_rate)
    order = min(MOST_ORDER, round(ORDER_S * sample_rate))
    for channel in wave:
        left = channel[max(0, start - context) : start].astype(np.float64)
        estimate = channel[start:stop].astype(np.float64)
        right = channel[stop : stop + context].astype(np.float64)
        if min(len(left), len(right)) <= autoregressive.SHORTEST_SIDE or not (
            np.any(left) and np.any(right)
        ):
            continue
        peak = max(np.abs(part).max(initial=0.0) for part in (left, estimate, right))
        left, estimate, right = left / peak, estimate / peak, right / peak
        model = autoregressive.fill_between(left, right, stop - start, order, context, ITERATIONS)
        carried = np.clip(estimate + _taken(model - estimate, sample_rate), -1, 1)
        channel[start:stop] = (carried * peak).astype(wave.dtype)


def _taken(change: Array, sample_rate: int) -> Array:
    """Return the low frequencies of a change (T,), and its high frequencies near the edges."""
    if sample_rate <= 2 * SPLIT_HZ:
        return change
    from scipy.signal import butter, sosfiltfilt  # takes long to import

    room = round(ROOM_S * sample_rate)
    sections = butter(FILTER_ORDER, SPLIT_HZ, fs=sample_rate, output="sos")
    low = sosfiltfilt(sections, np.pad(change, room))[room:-room]
    place = np.arange(len(change))
    away_s = np.minimum(place, len(change) - 1 - place) / sample_rate
    near = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away_s / FADE_S, 1))
    taken: Array = low + near * (change - low)
    return taken
