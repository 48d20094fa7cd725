"""A diffusion that starts from noise, for comparisons with bridges."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig, Gaussian, per_item


class Diffusion(Bridge):
    """The variance-preserving diffusion with the cosine schedule (Nichol and Dhariwal 2021).

    x_t = cos(pi t/2) x0 + sin(pi t/2) noise is independent of x0 at t = 1, and of x1 at any time.
    The known content of x1 must be a condition of the network (a conditional diffusion), or guide
    the sampling (an inverse method).
    """

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "diffusion"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a = cos(pi t/2), b = 0, c = sin(pi t/2)."""
        angle = math.pi / 2 * t
        return angle.cos(), torch.zeros_like(t), angle.sin()

    def sigma(self, t: Tensor) -> Tensor:
        """Return sin(pi t/2)."""
        return (math.pi / 2 * t).sin()

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """Return p(x_s | x0, x_t) (Ho et al. 2020).

        x_t is r x_s plus independent noise of variance v, with r = a_t/a_s and v = c_t^2 - r^2
        c_s^2. The mean is (a_s v x0 + r c_s^2 x_t)/c_t^2 and the variance v c_s^2/c_t^2.
        """
        (a_t, _, c_t), (a_s, _, c_s) = self.coefficients(t), self.coefficients(s)
        ratio, keep = a_t / a_s, (c_s / c_t) ** 2
        fresh = (c_t**2 - (ratio * c_s) ** 2).clamp(min=0)
        of_x0 = a_s * fresh / c_t**2
        mean = per_item(of_x0, x0) * x0 + per_item(ratio * keep, x0) * xt
        return Gaussian(mean, per_item(fresh * keep, x0))
