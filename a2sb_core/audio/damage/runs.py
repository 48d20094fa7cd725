"""Detectors of runs of samples that no recording holds: NaN, digital silence, stuck samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from a2sb_core.audio.arrays import FloatArray, looks_finite
from a2sb_core.audio.damage.finding import Run

BoolArray = npt.NDArray[np.bool_]

SILENT_LEVEL = 1.5 / 32768
"""Samples up to one step of 16 bits are silent."""
SHORTEST_SILENCE_S = 0.002
LONGEST_SILENCE_S = 2.0
"""Longer ones are pauses."""
EDGE_S, AROUND_S = 0.002, 0.05
"""Music breaks off where the last so many seconds are as loud as the longer stretch around."""
QUIETEST_RMS = 10 ** (-50 / 20)
"""Below -50 dBFS nobody hears whether it broke off."""
SHARE_AT_EDGE = 0.25
"""A decay leaves less than that share of the level around in the last two milliseconds."""

SHORTEST_STUCK_S = 0.0007
LONGEST_STUCK_S = 2.0
SMALLEST_STUCK = 10 ** (-60 / 20)
"""A value held near zero is silence."""
CLIPPED_SHARE = 0.95
"""Values that near the peak are held by clipping."""
SMALLEST_JUMP = 0.1
"""A held value is left by a jump of this share of the level around: a wave passes through it."""
PULSES_S = 0.03
"""Where other values are held so near, holding values is the sound: pulse waves."""
HELD_SAMPLES = 8


def nan_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find samples (C, T) that are no numbers, in any channel."""
    if looks_finite(wave):
        return []
    return _runs(np.atleast_1d(~np.isfinite(wave).all(axis=0)))


def silent_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find digital silence in all channels that music breaks off at and resumes from.

    Silence at the ends of the audio, and silence that a sound decays into or grows out of, are
    pauses.
    """
    level = np.abs(wave).max(axis=0)
    shortest, longest = SHORTEST_SILENCE_S * sample_rate, LONGEST_SILENCE_S * sample_rate
    return [
        (start, end) for start, end in _runs(level <= SILENT_LEVEL)
        if shortest <= end - start <= longest and start > 0 and end < wave.shape[1]
        and _breaks_off(wave[:, :start][:, ::-1], sample_rate)
        and _breaks_off(wave[:, end:], sample_rate)
    ]


def stuck_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find values that a channel holds, and leaves by a jump.

    What is held at the peak is clipping, what is held near zero a pause, and where values are held
    again and again that is the sound.
    """
    found: list[Run] = []
    for channel in wave:
        found += _stuck(channel, sample_rate)
    return sorted(found)


def _stuck(channel: FloatArray, sample_rate: int) -> list[Run]:
    held = [(start, end + 1) for start, end in _runs(np.diff(channel) == 0)]
    held = [run for run in held if run[1] - run[0] >= HELD_SAMPLES]
    peak = np.abs(channel).max(initial=0.0)
    near = round(PULSES_S * sample_rate)
    found = []
    for number, (start, end) in enumerate(held):
        value = abs(float(channel[start]))
        is_long = SHORTEST_STUCK_S <= (end - start) / sample_rate <= LONGEST_STUCK_S
        is_inside = start > 0 and end < len(channel)
        if not is_long or not is_inside or not SMALLEST_STUCK <= value < CLIPPED_SHARE * peak:
            continue
        around = np.concatenate([channel[max(0, start - near) : start], channel[end : end + near]])
        jump = abs(float(channel[end]) - float(channel[start]))
        others = held[max(0, number - 1) : number] + held[number + 1 : number + 2]
        is_alone = all(o[1] < start - near or o[0] > end + near for o in others)
        if is_alone and jump >= SMALLEST_JUMP * float(np.std(around)):
            found.append((start, end))
    return found


def _breaks_off(away: FloatArray, sample_rate: int) -> bool:
    """Whether sound (C, n), from the silence away, is loud at once."""
    around = away[:, : round(AROUND_S * sample_rate)]
    edge = away[:, : max(1, round(EDGE_S * sample_rate))]
    level = _rms(around)
    return level >= QUIETEST_RMS and _rms(edge) >= SHARE_AT_EDGE * level


def _rms(wave: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if wave.size else 0.0


def _runs(marks: BoolArray) -> list[Run]:
    """Return the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
