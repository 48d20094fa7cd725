"""Detector of clicks: what linear prediction does not expect, and what leaves no trace."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.signal

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.damage.finding import Run

ORDER = 32
FRAME_S = 0.1
"""Prediction is fitted to frames of this length."""
FACTOR = 15.0
"""A click's prediction error is so many times the usual one (its median over 0.6745)."""
SMALLEST_PEAK = 0.03
"""Of the prediction error, full scale 1."""
LONGEST_S = 0.003
JOINED_S = 0.0007
"""Peaks nearer than this are one click."""
AROUND_S, NEAR_S = 0.02, 0.001
"""What lies so far to either side is compared with the click, and what lies so near is not."""
STANDING_OUT = 8.0
"""The largest error of a click is so many times the largest around it. Notes begin with an error,
too, but go on with one."""
MARGIN_S = 0.0003
REGULARIZATION = 1e-9


def click_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find clicks of up to three milliseconds in audio (C, T), after Godsill and Rayner (1998)."""
    found: list[Run] = []
    for channel in wave:
        found += _clicks(channel.astype(np.float64), sample_rate)
    return sorted(found)


def _clicks(channel: FloatArray, sample_rate: int) -> list[Run]:
    error, usual = prediction_error(channel, round(FRAME_S * sample_rate))
    size = np.abs(error)
    places = np.flatnonzero((size > FACTOR * usual) & (size > SMALLEST_PEAK))
    margin, joined = round(MARGIN_S * sample_rate), round(JOINED_S * sample_rate)
    breaks = np.flatnonzero(np.diff(places) > joined) + 1
    found = []
    for group in np.split(places, breaks) if len(places) else []:
        start, end = int(group[0]), int(group[-1]) + 1
        is_short = end - start <= LONGEST_S * sample_rate
        if is_short and _stands_out(size, start, end, sample_rate):
            found.append((max(0, start - margin), min(len(channel), end + margin)))
    return found


def _stands_out(size: FloatArray, start: int, end: int, sample_rate: int) -> bool:
    near, far = round(NEAR_S * sample_rate), round(AROUND_S * sample_rate)
    before, after = size[max(0, start - far) : start - near], size[end + near : end + far]
    if start <= near or min(len(before), len(after)) < near:
        return False
    around = max(float(before.max()), float(after.max()))
    return float(size[start:end].max()) >= STANDING_OUT * around


def prediction_error(channel: FloatArray, frame: int) -> tuple[FloatArray, FloatArray]:
    """Return what linear prediction misses of each sample (T,), and how much it usually misses.

    Prediction is fitted anew to every ``frame`` samples, with a window of twice that length.
    """
    error, usual = np.zeros_like(channel), np.zeros_like(channel)
    window = scipy.signal.get_window("hann", 2 * frame)
    for start in range(0, len(channel), frame):
        first = max(0, start - frame // 2)
        around = channel[first : first + 2 * frame]
        if len(around) <= 2 * ORDER:
            break
        filter_ = _whitening(around * (window if len(around) == len(window) else 1.0))
        lead = min(start, ORDER)
        piece = scipy.signal.lfilter(filter_, 1.0, channel[start - lead : start + frame])[lead:]
        error[start : start + frame] = piece
        usual[start : start + frame] = np.median(np.abs(piece)) / 0.6745
    return error, usual


def _whitening(wave: FloatArray) -> FloatArray:
    """Return the prediction error filter 1, -a_1, ..., -a_p by the autocorrelation method."""
    spectrum = np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2
    correlation = np.fft.irfft(spectrum)[: ORDER + 1]
    correlation[0] = correlation[0] * (1 + REGULARIZATION) + REGULARIZATION
    coefficients = scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])
    return np.concatenate([[1.0], -coefficients])
