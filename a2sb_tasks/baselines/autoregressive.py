"""Autoregressive interpolation of gaps (Janssen, Veldhuis and Vries 1986), without training.

The loops do not call BLAS. The sums are those of numpy, so that the result has the same bits for
any number of BLAS threads, and thousands of short vectors do not wait for threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.linalg import solve_toeplitz
from scipy.signal import fftconvolve, lfilter, lfiltic

from a2sb_core.interfaces import ComponentConfig
from a2sb_tasks.baselines.gaps import Array, GapFiller

SHORTEST_SIDE = 32
"""A side of a gap with at most this many samples is not used."""
NOISE_FLOOR = 1e-9
"""Power of the white noise in the estimate of the model, relative to the signal (-90 dB).

It limits the dynamic range of the model's spectrum. Without it, a spectral hole (a brick-wall
filter) makes the normal equations so ill-conditioned that their solution diverges."""
RIDGES = (1e-12, 1e-9, 1e-6, 1e-3)
"""Relative increases of the diagonal of the normal equations, tried until one solves them."""
RESIDUAL = 1e-6
"""Largest relative residual of the normal equations that counts as solved."""


class Autoregressive(GapFiller):
    """Fills a gap so that the excitation of an autoregressive model has the least energy.

    The model is first estimated from both sides of the gap by the method of Burg, and in further
    iterations from the sides and the filled gap. At an end of the recording, which has only one
    side, the gap is extrapolated.
    """

    class Config(ComponentConfig):
        """Settings of the model and of the estimate."""

        name: str = "autoregressive"
        order: int = Field(4096, ge=1)
        """Order of the model; short gaps use a smaller one, see :func:`model_size`. For gaps of 300
        ms in music, an order below 2000 loses the tones in the middle of the gap."""
        context: int = Field(16384, ge=64)
        """Number of samples on each side from which a model of the full order is estimated."""
        iterations: int = Field(2, ge=1)
        """Number of iterations of estimating the model and filling the gap."""

    def fill(self, wave: Array, start: int, stop: int, end: int) -> Array:
        """Interpolate one gap, or extrapolate it if a side is missing."""
        config = self.config
        left = wave[max(0, start - config.context) : start]
        right = wave[stop : min(end, stop + config.context)]
        return fill_between(
            left, right, stop - start, config.order, config.context, config.iterations
        )


def fill_between(
    left: Array, right: Array, length: int, order: int, context: int, iterations: int
) -> Array:
    """Return ``length`` samples between two sides (T,), whose peak is at most that of the sides.

    A side of at most ``SHORTEST_SIDE`` samples is not used: the other one is extrapolated. Without
    any side, or between silent ones, the result is silent. ``order`` and ``context`` are upper
    bounds, see :func:`model_size`. The result is finite for any finite sides.
    """
    order, context = model_size(length, order, context)
    sides = [side[-context:] if side is left else side[:context] for side in (left, right)]
    peak = max(np.abs(side).max(initial=0.0) for side in sides)
    if peak == 0:
        return np.zeros(length)
    before, after = (side / peak for side in sides)
    if min(len(before), len(after)) > SHORTEST_SIDE:
        filled = interpolate_between(before, after, length, order, iterations)
    elif len(before) > SHORTEST_SIDE:
        filled = extrapolate(before, burg([before], min(order, len(before) // 3)), length)
    elif len(after) > SHORTEST_SIDE:
        after = after[::-1]
        filled = extrapolate(after, burg([after], min(order, len(after) // 3)), length)[::-1]
    else:
        filled = np.zeros(length)
    limited: Array = np.clip(filled, -1, 1) * peak
    return limited


def model_size(length: int, order: int, context: int) -> tuple[int, int]:
    """Return the order and the context for a gap of ``length`` samples.

    The order is a quarter of the largest order plus the length of the gap, and the context is in
    proportion. Smaller values reduce the quality on music, and larger ones do not improve it.
    """
    reduced = min(order, -(-order // 4) + length)
    return reduced, -(-context * reduced // order)


def interpolate_between(
    left: Array, right: Array, length: int, order: int, iterations: int
) -> Array:
    """Return ``length`` samples between two sides by some iterations of estimating and filling.

    The order is reduced if the sides are short.
    """
    order = min(order, max(len(left), len(right)) // 3, min(len(left), len(right)) - 1)
    filled = np.concatenate([left, np.zeros(length), right])
    gap = slice(len(left), len(left) + length)
    filled[gap] = interpolate(filled, gap.start, gap.stop, burg([left, right], order))
    for _ in range(iterations - 1):
        filled[gap] = interpolate(filled, gap.start, gap.stop, burg([filled], order))
    return filled[gap]


def burg(segments: Sequence[Array], order: int) -> Array:
    """Estimate an autoregressive model (order + 1,), the first coefficient 1.

    Burg's method: each reflection coefficient minimizes the energy of the forward and backward
    errors, here of all segments (each longer than ``order``) together. The errors are those of the
    signal plus white noise of power ``NOISE_FLOOR`` times the signal's: the noise is not drawn, its
    expected energy is added. The model is stable.
    """
    energy = 2 * sum(_dot(segment, segment) for segment in segments)
    floor = NOISE_FLOOR * energy / 2 / sum(len(segment) for segment in segments)
    errors = [(segment.copy(), segment.copy()) for segment in segments]
    model = np.zeros(order + 1)
    model[0] = 1.0
    for m in range(1, order + 1):
        energy -= sum(forward[0] ** 2 + backward[-1] ** 2 for forward, backward in errors)
        errors = [(forward[1:], backward[:-1]) for forward, backward in errors]
        product = sum(_dot(forward, backward) for forward, backward in errors)
        noise = floor * sum(len(forward) for forward, _ in errors)
        known = model[:m]
        total = max(energy, 0.0) + 2 * noise * _dot(known, known)
        if total <= 0:
            break
        reflection = -2 * (product + noise * _dot(known[1:], known[:0:-1])) / total
        model[1 : m + 1] += reflection * model[m - 1 :: -1][:m]
        for forward, backward in errors:
            change = reflection * forward
            forward += reflection * backward
            backward += change
        energy += reflection * (reflection * energy + 4 * product)
    return model


def interpolate(wave: Array, start: int, stop: int, model: Array) -> Array:
    """Return the samples of a gap that give the least excitation, sum of (a * x)^2.

    At least ``order`` samples must be known on both sides. The normal equations are Toeplitz: the
    autocorrelation of the coefficients on the left, and on the right the known samples filtered
    by it. They are solved by Levinson's recursion, which is fast and exact for well-conditioned
    equations; where the residual shows that they are not, they are regularized further.
    """
    order, length = len(model) - 1, stop - start
    around = wave[start - order : stop + order].copy()
    gap = slice(order, order + length)
    around[gap] = 0
    target = _gradient(around, model)
    column = np.zeros(max(length, order + 1))
    column[: order + 1] = fftconvolve(model, model[::-1])[order:]
    for ridge in RIDGES:
        regularized = column[:length].copy()
        regularized[0] *= 1 + ridge
        around[gap] = solve_toeplitz(regularized, -target, check_finite=False)
        residual = _gradient(around, model) + ridge * column[0] * around[gap]
        if _dot(residual, residual) <= RESIDUAL**2 * _dot(target, target):
            return around[gap]
    return np.zeros(length)


def _gradient(around: Array, model: Array) -> Array:
    """Return half the derivative of the excitation's energy by each sample of the gap."""
    excitation = fftconvolve(around, model, mode="valid")
    gradient: Array = fftconvolve(excitation, model[::-1], mode="valid")
    return gradient


def extrapolate(wave: Array, model: Array, count: int) -> Array:
    """Extrapolate a waveform by ``count`` samples without any excitation."""
    state = lfiltic([1.0], model, wave[::-1][: len(model) - 1])
    continued, _ = lfilter([1.0], model, np.zeros(count), zi=state)
    return np.asarray(continued)


def _dot(a: Array, b: Array) -> float:
    """Return the inner product without BLAS, whose threads cost more than a short product."""
    return float(np.einsum("i,i->", a, b))
