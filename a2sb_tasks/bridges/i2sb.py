"""The image-to-image Schrodinger bridge (Liu et al. 2023) with the paper's symmetric schedule."""

from __future__ import annotations

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig, Gaussian, per_item


class I2SB(Bridge):
    """The bridge without drift and with beta_t = min(t, 1 - t)^2 beta_max, section 3.2.

    With s^2 = integral of beta from 0 to t and sbar^2 = integral from t to 1, the marginal is (9):
    mean (sbar^2 x0 + s^2 x1)/(s^2 + sbar^2), variance s^2 sbar^2/(s^2 + sbar^2).
    """

    class Config(ComponentConfig):
        """Settings of the noise of the process."""

        name: str = "i2sb"
        beta_max: FiniteFloat = Field(1.0, gt=0, le=1e6)
        """Scale of beta_t, and thus of the noise (the paper: 1)."""

    config: Config

    def variance(self, t: Tensor) -> Tensor:
        """Return s^2(t), the integral of beta from 0 to t; sbar^2(t) is s^2(1 - t) by symmetry."""
        half = torch.minimum(t, 1 - t) ** 3 / 3
        return self.config.beta_max * torch.where(t <= 0.5, half, 1 / 12 - half)

    def sigma(self, t: Tensor) -> Tensor:
        """Return s(t), the sigma_t of (10)."""
        return self.variance(t).sqrt()

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a = sbar^2/total, b = s^2/total, c = s sbar/sqrt(total), from (9)."""
        forward, backward = self.variance(t), self.variance(1 - t)
        total = self.config.beta_max / 12
        return backward / total, forward / total, (forward * backward / total).sqrt()

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """Return p(x_s | x0, x_t) of (19)."""
        at_t, at_s = self.variance(t), self.variance(s)
        keep = at_s / at_t
        mean = per_item(1 - keep, x0) * x0 + per_item(keep, x0) * xt
        return Gaussian(mean, per_item((at_t - at_s) * keep, x0))
