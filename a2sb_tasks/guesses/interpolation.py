"""Fast interpolation of a gap by linear prediction, for one channel.

The model is estimated by the autocorrelation method on both sides. The samples of the gap are those
with the least excitation, as in :mod:`a2sb_tasks.baselines.autoregressive`, but the equations are
solved by conjugate gradients with transforms, in milliseconds. The sums are those of numpy, so that
the result has the same bits for any number of BLAS threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, lfiltic

Array = npt.NDArray[np.float64]

CONTEXT_S = 0.372
"""Seconds on each side of a gap from which the model is estimated."""
ORDER_S = 0.0465
"""Order of the model, in seconds."""
LONGEST_S = 0.6
"""Longest gap in seconds that is interpolated: in the middle of longer ones, tones have decayed."""
FADE_S = 0.3
"""Length in seconds of the continuation of a side that has no other side within ``LONGEST_S``."""
SHORTEST_SIDE = 32
"""A side of a gap with at most this many samples is not used."""
NOISE_FLOOR = 1e-9
"""Power of the white noise in the estimate of the model, relative to the signal (-90 dB)."""
ITERATIONS = 80
TOLERANCE = 1e-10
"""Relative residual energy at which the iterations end."""


def fill_gap(left: Array, right: Array, length: int, sample_rate: int) -> Array:
    """Return ``length`` samples between two sides (T,), whose peak is at most that of the sides.

    Only ``CONTEXT_S`` of each side is used. A gap longer than ``LONGEST_S``, or with one side only,
    is continued from its ends for ``FADE_S`` and silent elsewhere. Between silent sides, or without
    any, the result is silent. It is finite for any finite sides.
    """
    context, order = (round(seconds * sample_rate) for seconds in (CONTEXT_S, ORDER_S))
    left, right = left[-context:], right[:context]
    peak = max(np.abs(side).max(initial=0.0) for side in (left, right))
    if peak == 0:
        return np.zeros(length)
    before, after = left / peak, right / peak
    shortest = min(len(before), len(after))
    if shortest > SHORTEST_SIDE and length <= LONGEST_S * sample_rate:
        order = min(order, max(len(before), len(after)) // 3, shortest - 1)
        filled = _interpolate(before, after, length, _model([before, after], order))
    else:
        count = min(length, round(FADE_S * sample_rate))
        filled = np.zeros(length)
        filled[:count] += _continue(before, count, order)
        filled[length - count :] += _continue(after[::-1], count, order)[::-1]
    limited: Array = np.clip(filled, -1, 1) * peak
    return limited


def _model(sides: list[Array], order: int) -> Array:
    """Return the coefficients (order + 1,), the first one 1, of the sides under a Hann window."""
    total = np.zeros(order + 1)
    for side in sides:
        size = fft.next_fast_len(2 * len(side), real=True)
        spectrum = fft.rfft(side * np.hanning(len(side) + 2)[1:-1], size)
        found = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[: order + 1]
        total[: len(found)] += found
    if total[0] <= 0:
        return np.concatenate([[1.0], np.zeros(order)])
    total[0] *= 1 + NOISE_FLOOR
    coefficients = solve_toeplitz(total[:order], -total[1:], check_finite=False)
    return np.concatenate([[1.0], coefficients])


def _interpolate(left: Array, right: Array, length: int, model: Array) -> Array:
    """Return the samples with the least excitation, sum of (a * x)^2, by conjugate gradients.

    The preconditioner is the spectrum of the model, whose inverse nearly is that of the equations.
    """
    order = len(model) - 1
    around = np.concatenate([left[-order:], np.zeros(length), right[:order]])
    size = fft.next_fast_len(len(around) + order, real=True)
    response = fft.rfft(model, size)
    power = response.real**2 + response.imag**2

    def filtered(x: Array, by: npt.NDArray[Any]) -> Array:
        result: Array = fft.irfft(fft.rfft(x, size) * by, size)
        return result

    excitation = filtered(around, response)[: len(around)]
    excitation[:order] = 0  # depends on samples before the model's reach
    residual = -filtered(excitation, response.conj())[order : order + length]
    solution, target = np.zeros(length), _dot(residual, residual)
    direction, energy = np.zeros(length), 1.0
    for _ in range(ITERATIONS):
        if _dot(residual, residual) <= TOLERANCE * target:
            break
        step = filtered(residual, 1 / power)[:length]
        before, energy = energy, _dot(residual, step)
        direction = step + energy / before * direction
        change = filtered(direction, power)[:length]
        rate = energy / _dot(direction, change)
        solution += rate * direction
        residual -= rate * change
    return solution if np.isfinite(solution).all() else np.zeros(length)


def _continue(side: Array, count: int, order: int) -> Array:
    """Continue a side by ``count`` samples without excitation, and fade it out."""
    if len(side) <= SHORTEST_SIDE or not side.any():
        return np.zeros(count)
    model = _model([side], min(order, len(side) // 3))
    state = lfiltic([1.0], model, side[::-1][: len(model) - 1])
    continued, _ = lfilter([1.0], model, np.zeros(count), zi=state)
    fade = 0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return np.asarray(np.clip(continued, -1, 1) * fade)


def _dot(a: Array, b: Array) -> float:
    """Return the inner product without BLAS, whose sums depend on its threads."""
    return float(np.einsum("i,i->", a, b))
