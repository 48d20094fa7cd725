"""Schrodinger bridges between paired data (Chen et al. 2023; Jukic et al. 2024).

With alpha(t) = exp(integral of f) for the drift f x, and s^2(t) = integral of g^2/alpha^2 for the
diffusion g, the process that is pinned at both ends has, with sbar^2(t) = s^2(1) - s^2(t):

    a = alpha sbar^2/s^2(1), b = alpha/alpha(1) s^2/s^2(1), c = alpha s sbar/s(1)
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig

Positive = Annotated[FiniteFloat, Field(gt=0, le=100)]


def pinned(
    alpha: Tensor, last: float, variance: Tensor, total: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (a, b, c) from alpha(t), alpha(1), s^2(t) and s^2(1)."""
    rest = (total - variance).clamp(min=0)
    c = alpha * (variance.clamp(min=0) * rest / total).sqrt()
    return alpha * rest / total, alpha / last * variance / total, c


class VE(Bridge):
    """Schrodinger bridge with exploding variance: no drift, g^2 = scale ratio^(2 t)."""

    class Config(ComponentConfig):
        """Diffusion of the process; the defaults are those of Jukic et al. 2024."""

        name: str = "ve"
        scale: FiniteFloat = Field(0.4, gt=0, le=1e6)
        """Square of the diffusion at t = 0."""
        ratio: FiniteFloat = Field(2.6, gt=1, le=1e6)
        """Growth of the diffusion from t = 0 to t = 1."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a, b, c with s^2 = scale (ratio^(2 t) - 1)/(2 ln ratio)."""
        rate = 2 * math.log(self.config.ratio)
        total = self.config.scale * math.expm1(rate) / rate
        variance = self.config.scale * torch.expm1(rate * t) / rate
        return pinned(torch.ones_like(t), 1.0, variance, total)


class VP(Bridge):
    """Schrodinger bridge with preserved variance: f = -beta/2, g^2 = scale beta, linear beta."""

    class Config(ComponentConfig):
        """Drift and diffusion of the process; the defaults are those of Jukic et al. 2024."""

        name: str = "vp"
        beta: tuple[Positive, Positive] = (0.01, 20.0)
        """beta at t = 0 and at t = 1."""
        scale: FiniteFloat = Field(0.3, gt=0, le=1e6)
        """Ratio of the squared diffusion to beta."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a, b, c with alpha = exp(-B/2) and s^2 = scale (exp(B) - 1), B = integral."""
        low, high = self.config.beta
        grown, last = low * t + (high - low) / 2 * t**2, (low + high) / 2
        total = self.config.scale * math.expm1(last)
        variance = self.config.scale * torch.expm1(grown)
        return pinned((-grown / 2).exp(), math.exp(-last / 2), variance, total)


class GMax(Bridge):
    """Schrodinger bridge without drift and with linear g^2 (Chen et al. 2023)."""

    class Config(ComponentConfig):
        """Diffusion of the process."""

        name: str = "gmax"
        beta: tuple[Positive, Positive] = (0.01, 1.0)
        """Squared diffusion at t = 0 and at t = 1."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a, b, c with s^2 = beta_0 t + (beta_1 - beta_0) t^2/2."""
        low, high = self.config.beta
        variance = low * t + (high - low) / 2 * t**2
        return pinned(torch.ones_like(t), 1.0, variance, (low + high) / 2)
