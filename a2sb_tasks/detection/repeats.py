"""Detector of packets that are repeated in place of lost ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from a2sb_core.interfaces import FloatArray
from a2sb_tasks.detection.clicks import FRAME_S, prediction_error
from a2sb_tasks.detection.finding import Run
from a2sb_tasks.detection.silence import LEAST_STEPS, QUIETEST_RMS, quantization_step

SHORTEST_PACKET_S, LONGEST_PACKET_S = 0.009, 0.06
LONGEST_REPEATS_S = 1.0
WINDOW = 32
"""Number of samples that must be equal before a repetition is considered."""
JOINT = 2
"""Number of samples on both sides of a joint that may contain its prediction error."""
STANDING_OUT = (2.0, 64.0)
"""Range of the ratio between the prediction error at the joint of two copies and the largest error
at the start of a copy or within it. In periodic tones, the ratio is near 1, or very large."""
ABOVE_USUAL = 4.0
"""Smallest ratio of the prediction error at the joint and the usual one."""


def repeated_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find exact copies of the packet before them in all channels of audio (C, T).

    If most of the repetitions are not joined like copies, the sound itself is periodic.
    """
    found: list[Run] = []
    longest, seen, periodic = round(LONGEST_REPEATS_S * sample_rate), 0, 0
    for place, lag in _candidates(wave, sample_rate):
        if place < seen:
            continue
        start, end = _equal_run(wave, place, lag, lag)
        if end - start < lag or not _is_loud(wave[:, start : start + lag]):
            continue
        start, end = _equal_run(wave, place, lag, longest)
        seen = end + lag
        if end - start < longest and _is_joined(wave, start, lag, sample_rate):
            found.append((start + lag, end + lag))
        else:
            periodic += 1
    return found if periodic < max(1, len(found)) else []


def _is_loud(wave: FloatArray) -> bool:
    """Return whether a packet (C, n) is louder than silence and coarse quantization."""
    level = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    return level >= max(QUIETEST_RMS, LEAST_STEPS * quantization_step(wave))


def _candidates(wave: FloatArray, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield places whose next samples recur after a lag, as (place, lag)."""
    shortest = max(WINDOW, round(SHORTEST_PACKET_S * sample_rate))
    longest = max(shortest, round(LONGEST_PACKET_S * sample_rate))
    keys = _keys(wave)
    for place in range(0, len(keys) - longest, shortest):
        if keys[place] == keys[place + 1]:
            continue  # silence
        recurs = keys[place + shortest : place + longest + 1] == keys[place]
        lag = int(recurs.argmax())
        if recurs[lag]:
            yield place, shortest + lag


def _keys(wave: FloatArray) -> npt.NDArray[np.int64]:
    """Return a key for every sample, which is equal where the next samples of all channels are."""
    keys = np.zeros(wave.shape[1], np.int64)
    for channel in wave:
        bits = np.ascontiguousarray(channel + 0.0, np.float32).view(np.int32)
        keys = keys * 1_000_003 + bits
    reach = 1
    while reach < WINDOW:
        keys = keys[:-reach] * (2 * reach + 1_000_033) + keys[reach:]
        reach *= 2
    return keys


def _equal_run(wave: FloatArray, place: int, lag: int, longest: int) -> Run:
    """Return the run around a place in which all samples recur after a lag."""
    first, end = max(0, place - longest), min(place + longest, wave.shape[1] - lag)
    differs = (wave[:, first:end] != wave[:, first + lag : end + lag]).any(axis=0)
    before, after = (
        np.flatnonzero(differs[: place - first]),
        np.flatnonzero(differs[place - first :]),
    )
    start = first + int(before[-1]) + 1 if len(before) else first
    return start, place + int(after[0]) if len(after) else end


def _is_joined(wave: FloatArray, start: int, lag: int, sample_rate: int) -> bool:
    """Return whether copies that begin at ``start + lag`` were joined to the sound before them."""
    frame = round(FRAME_S * sample_rate)
    first = max(0, start - frame)
    place = start - first
    for channel in wave:
        excerpt = channel[first : start + lag + frame].astype(np.float64)
        error, usual = prediction_error(excerpt, frame)
        size, copied = np.abs(error), place + lag
        packet = size[max(0, place - JOINT) : copied - JOINT]
        joint = float(size[copied - JOINT : copied + JOINT + 1].max())
        least, most = (ratio * float(packet.max()) for ratio in STANDING_OUT)
        if max(least, ABOVE_USUAL * float(usual[copied])) < joint < most:
            return True
    return False
