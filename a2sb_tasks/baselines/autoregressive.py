"""Autoregressive interpolation of gaps (Janssen, Veldhuis and Vries 1986), without learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, lfiltic

from a2sb_core.interfaces import ComponentConfig
from a2sb_tasks.baselines.gaps import Array, GapFiller

LEAST_ORDER = 32
"""A side of a gap with less than this is not used for an interpolation."""
RIDGE = 1e-12


class Autoregressive(GapFiller):
    """Fills a gap so that the excitation of an autoregressive model has the least energy.

    The model is estimated from both sides of the gap by the method of Burg, then from all of it
    with the gap filled, as often as asked. At an end of the recording, where there is only one
    side, the gap is extrapolated from it.
    """

    class Config(ComponentConfig):
        """Settings of the model and of the estimate."""

        name: str = "autoregressive"
        order: int = Field(4096, ge=1)
        """Of the model; for gaps of 300 ms in music, below 2000 it loses the tones in the middle of
        the gap."""
        context: int = Field(16384, ge=64)
        """Samples on each side that the model is estimated from."""
        iterations: int = Field(2, ge=1)
        """Rounds of estimating the model and filling the gap."""

    def fill(self, wave: Array, start: int, stop: int, end: int) -> Array:
        """Interpolate one gap, or extrapolate where a side is missing."""
        left = wave[max(0, start - self.config.context) : start]
        right = wave[stop : min(end, stop + self.config.context)]
        sides = [side for side in (left, right) if len(side) > LEAST_ORDER]
        if not sides or not any(np.any(side) for side in sides):
            return np.zeros(stop - start)
        order = self.config.order
        if len(sides) == 2:
            return interpolate_between(left, right, stop - start, order, self.config.iterations)
        model = burg(sides, min(order, len(sides[0]) // 3))
        if sides[0] is left:
            return extrapolate(left, model, stop - start)
        return extrapolate(right[::-1], model, stop - start)[::-1]


def interpolate_between(
    left: Array, right: Array, length: int, order: int, iterations: int
) -> Array:
    """Return ``length`` samples between two sides, in as many rounds of estimate and filling.

    The order is lowered where the sides are short.
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
    errors, here of all segments (each longer than ``order``) together. The model is stable.
    """
    forward = [segment.copy() for segment in segments]
    backward = [segment.copy() for segment in segments]
    model = np.zeros(order + 1)
    model[0] = 1.0
    for m in range(1, order + 1):
        ahead, behind = [f[1:] for f in forward], [b[:-1] for b in backward]
        product = sum(f @ b for f, b in zip(ahead, behind, strict=True))
        energy = sum(f @ f + b @ b for f, b in zip(ahead, behind, strict=True))
        if energy <= 0:
            break
        reflection = -2 * product / energy
        model[1 : m + 1] += reflection * model[m - 1 :: -1][:m]
        forward = [f + reflection * b for f, b in zip(ahead, behind, strict=True)]
        backward = [b + reflection * f for f, b in zip(ahead, behind, strict=True)]
    return model


def interpolate(wave: Array, start: int, stop: int, model: Array) -> Array:
    """Return the samples of a gap that give the least excitation, sum of (a * x)^2.

    At least ``order`` samples must be known on both sides. The normal equations are Toeplitz: the
    autocorrelation of the coefficients on the left, and on the right the known samples filtered
    by it.
    """
    order, length = len(model) - 1, stop - start
    known = wave[start - order : stop + order].copy()
    known[order : order + length] = 0
    excitation = lfilter(model, [1.0], known)[order:]
    target = lfilter(model, [1.0], excitation[::-1])[::-1][:length]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(model, 2 * order + 2)) ** 2)[: order + 1]
    column = np.zeros(max(length, order + 1))
    column[: order + 1] = correlation
    column[0] *= 1 + RIDGE
    solved: Array = solve_toeplitz(column[:length], -target)
    return solved


def extrapolate(wave: Array, model: Array, count: int) -> Array:
    """Continue a waveform by ``count`` samples without any excitation."""
    state = lfiltic([1.0], model, wave[::-1][: len(model) - 1])
    continued, _ = lfilter([1.0], model, np.zeros(count), zi=state)
    return np.asarray(continued)
