"""Bridges that interpolate between both ends: Brownian, mean-reverting, stochastic, and flow."""

from __future__ import annotations

import math

from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig


class NoisyConfig(ComponentConfig):
    """Amount of noise of a bridge."""

    noise: FiniteFloat = Field(0.5, gt=0, le=1e6)
    """Scale of the noise."""


class BrownianBridge(Bridge):
    """The Brownian bridge: a line between both ends, and noise of constant diffusion."""

    class Config(NoisyConfig):
        """Amount of noise."""

        name: str = "brownian"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return 1 - t, t and noise sqrt(t (1 - t))."""
        return 1 - t, t, self.config.noise * (t * (1 - t)).clamp(min=0).sqrt()


class Interpolant(Bridge):
    """The trigonometric stochastic interpolant (Albergo et al. 2023)."""

    class Config(NoisyConfig):
        """Amount of noise."""

        name: str = "interpolant"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return cos(pi t/2), sin(pi t/2) and noise sqrt(2 t (1 - t))."""
        angle = math.pi / 2 * t
        return angle.cos(), angle.sin(), self.config.noise * (2 * t * (1 - t)).clamp(min=0).sqrt()


class OU(Bridge):
    """The Ornstein-Uhlenbeck process that reverts to x1, pinned there at t = 1.

    The processes of Richter et al. 2023 and Yue et al. 2023 revert to the degraded end; pinned, the
    process reaches it exactly.
    """

    class Config(NoisyConfig):
        """Speed of the reversion, and amount of noise."""

        name: str = "ou"
        stiffness: FiniteFloat = Field(1.5, gt=0, le=50)
        """Rate gamma of the reversion."""

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a = sinh(gamma (1 - t))/sinh(gamma), b = 1 - a, and c of the pinned process."""
        gamma = self.config.stiffness
        a = (gamma * (1 - t)).sinh() / math.sinh(gamma)
        variance = (gamma * t).sinh() * a / gamma
        return a, 1 - a, self.config.noise * variance.clamp(min=0).sqrt()


class Flow(Bridge):
    """The path of flow matching with optimal transport (Lipman et al. 2023): a line, no noise.

    With the prediction ``paper``, whose target is (x_t - x0)/sigma, the network estimates the
    velocity x1 - x0, and the sampler ``ode`` takes steps of Euler's method.
    """

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "flow"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return 1 - t, t and 0."""
        return 1 - t, t, 0 * t

    def sigma(self, t: Tensor) -> Tensor:
        """Return t, so that (x_t - x0)/sigma is the velocity."""
        return t
