"""Tones that go on through a short gap: an autoregressive model over what a network says.

A small network fills a gap with sound of the right colour, but noise where tones should go on. An
autoregressive model does the opposite: it continues tones, and decays where there is noise. So low
frequencies are taken from the model, and high ones from it near the edges only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt

from a2sb_tasks.baselines.autoregressive import interpolate_between

Array = npt.NDArray[np.floating[Any]]
Gap = tuple[int, int]
"""First sample, and the first one after."""

LONGEST_S = 0.6
"""In the middle of longer gaps nothing is left of a tone."""
ROUNDING_S = 1e-6
CONTEXT_S = 0.372
"""The model is fitted to so much on each side."""
ORDER_S = 0.093
"""Length of the model."""
MOST_ORDER, MOST_CONTEXT = 4096, 16384
ITERATIONS = 2
SPLIT_HZ = 1500.0
"""Below it the model is taken everywhere."""
FADE_S = 0.08
"""Above it, it is faded out so far from the edges."""
FILTER_ORDER = 4
ROOM_S = 0.05
"""The filter's own edges lie so far outside."""


def short_gaps(gaps_s: Sequence[tuple[float, float]], sample_rate: int) -> list[Gap]:
    """Return the gaps that tones are carried through, in samples."""
    return [
        (math.floor(start * sample_rate), math.ceil(end * sample_rate))
        for start, end in gaps_s if start > 0 and end - start <= LONGEST_S + ROUNDING_S
    ]


def context_of(sample_rate: int) -> int:
    """Return how many samples beside a gap are looked at."""
    return min(MOST_CONTEXT, round(CONTEXT_S * sample_rate))


def needed_from(gaps: Sequence[Gap], sample_rate: int, sample: int) -> int:
    """Return from which sample a recording must be seen so that ``sample`` comes out right."""
    for start, stop in reversed(gaps):
        if stop > sample:
            sample = min(sample, start - context_of(sample_rate))
    return max(0, sample)


def carry(
    blocks: Iterable[Array], gaps: Sequence[Gap], sample_rate: int, first: int = 0
) -> Iterator[Array]:
    """Carry tones through gaps of a recording that comes in blocks (C, n), from sample ``first``.

    What lies outside the gaps comes out as it is. The blocks that come out are others than those
    that go in.
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
    """Carry tones through one gap, in place."""
    start, stop = gap[0] - first, gap[1] - first
    context = context_of(sample_rate)
    order = min(MOST_ORDER, round(ORDER_S * sample_rate))
    for channel in wave:
        left = channel[max(0, start - context) : start].astype(np.float64)
        right = channel[stop : stop + context].astype(np.float64)
        if not (np.any(left) and np.any(right)):
            continue
        said = channel[start:stop].astype(np.float64)
        model = interpolate_between(left, right, stop - start, order, ITERATIONS)
        channel[start:stop] = (said + _taken(model - said, sample_rate)).astype(wave.dtype)


def _taken(change: Array, sample_rate: int) -> Array:
    """Return what is taken of a change (T,): the lows, and of the highs what is near the edges."""
    if sample_rate <= 2 * SPLIT_HZ:
        return change
    room = round(ROOM_S * sample_rate)
    sections = butter(FILTER_ORDER, SPLIT_HZ, fs=sample_rate, output="sos")
    low = sosfiltfilt(sections, np.pad(change, room))[room:-room]
    place = np.arange(len(change))
    away_s = np.minimum(place, len(change) - 1 - place) / sample_rate
    near = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away_s / FADE_S, 1))
    taken: Array = low + near * (change - low)
    return taken
