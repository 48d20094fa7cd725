"""Detectors of runs of implausible samples: NaN, digital silence, and stuck samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from a2sb_core.interfaces import FloatArray, looks_finite
from a2sb_tasks.detection.finding import Run

BoolArray = npt.NDArray[np.bool_]

SILENT_LEVEL = 1.5 / 32768
"""Largest magnitude of silent samples: one step of 16 bits, with a margin."""
SHORTEST_SILENCE_S = 0.0007
LONGEST_SILENCE_S = 2.0
"""Longer silence is a pause."""
BRIEF_S = 0.002
"""Shorter silence must be alone: within 30 ms of others, it belongs to a pulse wave."""
EDGE_S, AROUND_S = 0.002, 0.05
"""Lengths, in seconds, of the edge at which music breaks off and of the stretch around it."""
QUIETEST_RMS = 10 ** (-50 / 20)
"""Below -50 dBFS, an interruption is inaudible."""
SHARE_AT_EDGE = 0.25
"""Smallest level of the edge, relative to the stretch around it; a decay is quieter."""
LEAST_STEPS = 4.0
"""Smallest level of the sound in quantization steps: softer sound is often zero."""
JUMP_STEPS = 2.5
"""Smallest jump at the end of a silent or stuck run, in quantization steps; sound that changes
slowly leaves a run by one step."""

SHORTEST_STUCK_S = 0.0007
LONGEST_STUCK_S = 2.0
SMALLEST_STUCK = 10 ** (-60 / 20)
"""Smallest magnitude of a stuck value; a smaller one is silence."""
CLIPPED_SHARE = 0.95
"""Values above this share of the peak are held by clipping."""
SMALLEST_JUMP = 0.1
"""Smallest jump at the end of a stuck value, as a share of the level around it."""
PULSES_S = 0.03
"""If other values are held within this distance, the sound is a pulse wave."""
HELD_SAMPLES = 8


def nan_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find runs of samples (C, T) that are NaN or infinite in any channel."""
    if looks_finite(wave):
        return []
    return _runs(np.atleast_1d(~np.isfinite(wave).all(axis=0)))


def silent_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find digital silence in all channels that interrupts music.

    Silence at the ends of the audio, or next to a sound that decays or grows, is a pause.
    """
    shortest, longest = SHORTEST_SILENCE_S * sample_rate, LONGEST_SILENCE_S * sample_rate
    near, brief = PULSES_S * sample_rate, BRIEF_S * sample_rate
    silent = [
        (start, end)
        for start, end in _runs(np.abs(wave).max(axis=0) <= SILENT_LEVEL)
        if end - start >= shortest / 2
    ]
    return [
        (start, end)
        for number, (start, end) in enumerate(silent)
        if shortest <= end - start <= longest
        and interrupts(wave, start, end, sample_rate)
        and (end - start >= brief or _is_alone(silent, number, near))
    ]


def interrupts(wave: FloatArray, start: int, end: int, sample_rate: int) -> bool:
    """Return whether samples ``start`` to ``end`` of audio (C, T) interrupt a sound abruptly.

    The sound is immediately loud on both sides, also in comparison with its quantization step.
    """
    around = round(AROUND_S * sample_rate)
    before, after = wave[:, max(0, start - around) : start][:, ::-1], wave[:, end : end + around]
    if not before.size or not after.size:
        return False
    step = max(quantization_step(before), quantization_step(after))
    return all(_breaks_off(side, step, sample_rate) for side in (before, after))


def quantization_step(wave: FloatArray) -> float:
    """Return the smallest difference between neighbouring samples (C, n) that are not equal."""
    steps = np.abs(np.diff(wave, axis=-1))
    return float(steps.min(where=steps > 0, initial=np.inf)) if (steps > 0).any() else 0.0


def stuck_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find values that a channel holds and leaves with a jump.

    A value at the peak is clipping, a value near zero is a pause, and frequently held values are
    part of the sound.
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
        least = max(SMALLEST_JUMP * float(np.std(around)), JUMP_STEPS * quantization_step(around))
        if jump >= least and _is_alone(held, number, near):
            found.append((start, end))
    return found


def _is_alone(runs: list[Run], number: int, near: float) -> bool:
    """Return whether the neighbours of a run are more than ``near`` samples away."""
    start, end = runs[number]
    others = runs[max(0, number - 1) : number] + runs[number + 1 : number + 2]
    return all(other[1] < start - near or other[0] > end + near for other in others)


def _breaks_off(away: FloatArray, step: float, sample_rate: int) -> bool:
    """Return whether a sound (C, n), which begins at the silence, is immediately loud."""
    edge = away[:, : max(1, round(EDGE_S * sample_rate))]
    level = _rms(away)
    is_loud = level >= max(QUIETEST_RMS, LEAST_STEPS * step)
    is_jump = float(np.abs(away[:, 0]).max()) >= JUMP_STEPS * step
    return is_loud and is_jump and _rms(edge) >= SHARE_AT_EDGE * level


def _rms(wave: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if wave.size else 0.0


def _runs(marks: BoolArray) -> list[Run]:
    """Return the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
