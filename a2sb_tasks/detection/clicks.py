"""Detector of clicks: short, isolated peaks of the error of linear prediction."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.signal

from a2sb_core.interfaces import FloatArray
from a2sb_tasks.detection.finding import Run

ORDER = 32
FRAME_S = 0.1
"""Length of the frames for which the prediction is estimated, in seconds."""
FACTOR = 15.0
"""Smallest ratio of the prediction error of a click and the usual error (median over 0.6745)."""
SMALLEST_PEAK = 0.03
"""Smallest prediction error of a click, full scale 1."""
LONGEST_S = 0.003
JOINED_S = 0.0007
"""Largest distance of two peaks of the same click, in seconds."""
AROUND_S, NEAR_S = 0.02, 0.001
"""A click is compared with the samples between these distances on both sides, in seconds."""
STANDING_OUT = 8.0
"""Smallest ratio of the largest error of a click and the largest error around it. A note begins
with a large error as well, but further ones follow it."""
MARGIN_S = 0.0003
REGULARIZATION = 1e-9


def click_runs(wave: FloatArray, sample_rate: int) -> list[Run]:
    """Find clicks of at most three milliseconds in audio (C, T) (Godsill and Rayner 1998)."""
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
    """Return the error of linear prediction for each sample, and the usual error, both (T,).

    The prediction is estimated for every ``frame`` samples, with a window of twice that length.
    """
    error, usual = np.zeros_like(channel), np.zeros_like(channel)
    frame = max(1, frame)
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
