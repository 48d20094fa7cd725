"""Bridge: the random process between clean (x0, t = 0) and degraded (x1, t = 1)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Gaussian, Noise

SMALLEST_C = 1e-6
"""Smaller values of c, in double precision, differ from zero only by rounding."""

START = -1
"""Step number of the noise at t = 1."""


def per_item(t: Tensor, like: Tensor) -> Tensor:
    """Reshape times (B,) or () so that they broadcast over ``like`` (B, ...)."""
    return t.to(like.dtype).reshape(t.shape + (1,) * (like.ndim - t.ndim)) if t.ndim else t.to(like)


class Bridge(Component, ABC):
    """A Gaussian process x_t = a x0 + b x1 + c noise that starts at x0 and draws no samples itself.

    At t = 1 it does not depend on x0 (a = 0). A bridge ends at x1 (b = 1, c = 0); a diffusion that
    depends on neither end is noise there.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import Bridge, ComponentConfig
        >>> class Steady(Bridge):
        ...     '''Noise of constant diffusion around a line.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "steady"
        ...     def coefficients(self, t):
        ...         return 1 - t, t, (t * (1 - t)).sqrt()
        >>> bridge, x0, x1 = Steady.Config().build(), torch.zeros(1, 2), torch.ones(1, 2)
        >>> bridge.marginal(x0, x1, torch.tensor([0.25])).mean
        tensor([[0.2500, 0.2500]])
    """

    kind = "bridge"

    @abstractmethod
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (a, b, c) of x_t = a x0 + b x1 + c noise, each of the shape of ``t`` in [0, 1]."""

    def sigma(self, t: Tensor) -> Tensor:
        """Return the scale of (x_t - x0) in (10): the noise accumulated from 0 to ``t``.

        Default: a process without drift has c^2 = a b S with a constant S, and sigma^2 = b S.
        """
        a, b, c = self.coefficients(torch.full_like(t, 0.5))
        _, b_t, _ = self.coefficients(t)
        return (c**2 / (a * b) * b_t).sqrt()

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """Return the distribution of x_s given x0 and x_t, for 0 <= s <= t and t > 0.

        Default: that of a Markov process, A x0 + B x_t with variance V. The marginals at s and t
        agree if B = b_s/b_t, A = a_s - B a_t and V = c_s^2 - B^2 c_t^2, which requires b_t > 0.
        """
        (a_t, b_t, c_t), (a_s, b_s, c_s) = self.coefficients(t), self.coefficients(s)
        keep = b_s / b_t
        mean = per_item(a_s - keep * a_t, x0) * x0 + per_item(keep, x0) * xt
        return Gaussian(mean, per_item((c_s**2 - (keep * c_t) ** 2).clamp(min=0), x0))

    def marginal(self, x0: Tensor, x1: Tensor, t: Tensor) -> Gaussian:
        """Return the distribution of x_t given both ends; ``t`` is (B,) or a scalar."""
        a, b, c = (per_item(value, x0) for value in self.coefficients(t))
        return Gaussian(a * x0 + b * x1, c**2)

    def start(self, x1: Tensor, noise: Noise, first: int = 0) -> Tensor:
        """Return x_t at t = 1, where sampling starts, for the frames from ``first`` on.

        It is x1 itself unless the process has noise at t = 1.
        """
        _, b, c = self.coefficients(torch.ones((), dtype=torch.float64))
        if float(c) < SMALLEST_C:
            return x1
        drawn = noise.at(START, first, first + x1.shape[-1]).to(x1)
        return per_item(b, x1) * x1 + per_item(c, x1) * drawn
