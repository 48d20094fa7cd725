"""Bridge: the random process between clean (x0, t = 0) and degraded (x1, t = 1)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Gaussian, Noise

SMALLEST_C = 1e-6
"""A smaller c, in double precision, is zero but for rounding."""

START = -1
"""The step of the noise at t = 1."""


def per_item(t: Tensor, like: Tensor) -> Tensor:
    """Shape times (B,) or () so that they broadcast over ``like`` (B, ...)."""
    return t.to(like.dtype).reshape(t.shape + (1,) * (like.ndim - t.ndim)) if t.ndim else t.to(like)


class Bridge(Component, ABC):
    """A Gaussian process x_t = a x0 + b x1 + c noise, at x0 for t = 0; it draws nothing itself.

    At t = 1 nothing of x0 is left (a = 0). A bridge is at x1 there (b = 1, c = 0); a diffusion that
    forgets both ends is at noise.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import Bridge, ComponentConfig, Gaussian, per_item
        >>> class Brownian(Bridge):
        ...     '''The Brownian bridge: constant noise.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "brownian"
        ...     def coefficients(self, t):
        ...         return 1 - t, t, (t * (1 - t)).sqrt()
        ...     def sigma(self, t):
        ...         return t.sqrt()
        ...     def posterior(self, x0, xt, t, s):
        ...         r = per_item(s / t, xt)
        ...         return Gaussian((1 - r) * x0 + r * xt, per_item(s, xt) * (1 - r))
        >>> bridge, x0, x1 = Brownian.Config().build(), torch.zeros(1, 2), torch.ones(1, 2)
        >>> bridge.marginal(x0, x1, torch.tensor([0.25])).mean
        tensor([[0.2500, 0.2500]])
    """

    kind = "bridge"

    @abstractmethod
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (a, b, c) of x_t = a x0 + b x1 + c noise, each of the shape of ``t`` in [0, 1]."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Return the noise accumulated from 0 to ``t``: the scale of (x_t - x0) in (10)."""

    @abstractmethod
    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """Distribution of x_s given x0 and x_t, for 0 <= s <= t and t > 0."""

    def marginal(self, x0: Tensor, x1: Tensor, t: Tensor) -> Gaussian:
        """Distribution of x_t given both ends; ``t`` is (B,) or a scalar."""
        a, b, c = (per_item(value, x0) for value in self.coefficients(t))
        return Gaussian(a * x0 + b * x1, c**2)

    def start(self, x1: Tensor, noise: Noise, first: int = 0) -> Tensor:
        """Return x_t at t = 1, where sampling starts, of frames ``first`` and following.

        It is x1 itself, unless the process is noisy there.
        """
        _, b, c = self.coefficients(torch.ones((), dtype=torch.float64))
        if float(c) < SMALLEST_C:
            return x1
        drawn = noise.at(START, first, first + x1.shape[-1]).to(x1)
        return per_item(b, x1) * x1 + per_item(c, x1) * drawn
