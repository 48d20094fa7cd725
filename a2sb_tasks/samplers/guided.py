"""Posterior samplers: an unconditional model that is guided by what was recorded."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import Denoiser, Measurement, Operator, State
from a2sb_tasks.samplers.implicit import Implicit

SMALLEST = 1e-30
"""Keeps quotients of zeros zero; far below the square of any error of audio."""


class Guided(Implicit):
    """Steps of `implicit`, for which each estimate is moved towards the recording y = A(x0).

        x0_hat + strength s g,  g = J^T w,  J = the Jacobian of x0_hat with respect to x_t

    w is the direction in which x0 comes closer to the recording. J^T, a backward pass through the
    network, makes of it a direction that music can take; the network does not see what is missing.
    The length s of the step is that for which the error |y - A(x0_hat + s g)| is least, with A
    linearized at x0_hat. It needs neither units nor the variance of the data.
    """

    class Config(Implicit.Config):
        """Settings of the steps and of the guidance."""

        steps: int = Field(100, ge=1, le=10_000)
        """Number of network evaluations."""
        spacing: Literal["uniform", "cosine", "quadratic"] = "quadratic"
        """Spacing of the times, as for other samplers; most of the correction is near 0."""
        eta: float = Field(1.0, ge=0, le=1)
        """Amount of fresh noise relative to (19); 0 is deterministic."""
        strength: FiniteFloat = Field(1.0, ge=0)
        """Length of a step of the guidance relative to that of the least error; 0 disables it."""

    config: Config
    guides = True

    def guide(self, denoiser: Denoiser, measurement: Measurement) -> Denoiser:
        """Return the guided denoiser."""
        return partial(self._guided, denoiser, measurement) if self.config.strength else denoiser

    @abstractmethod
    def direction(self, damage: Linearized, error: Tensor) -> Tensor:
        """Return w (B, ch, F, W), the direction that reduces an error y - A(x0_hat), (B, N)."""

    def _guided(self, denoiser: Denoiser, measurement: Measurement, state: State) -> Tensor:
        with torch.enable_grad():
            xt = state.xt.detach().clone().requires_grad_()
            estimate = denoiser(replace(state, xt=xt, missing=None))
        x0 = estimate.detach()
        observed, operator = measurement.compare(state, x0)
        damage = Linearized(operator, x0)
        error = observed - damage.value
        (pull,) = torch.autograd.grad(estimate, xt, self.direction(damage, error))
        pull = pull / _spread(pull.abs().flatten(1).amax(dim=1).clamp(min=SMALLEST), pull)
        change = damage.forward(pull)
        length = _dot(error, change) / _dot(change, change).clamp(min=SMALLEST)
        return x0 + self.config.strength * _spread(length, x0) * pull


class Linearized:
    """The damage A near x0: its value (B, N), and the products with its Jacobian."""

    def __init__(self, operator: Operator, x0: Tensor) -> None:
        with torch.enable_grad():
            self._x0 = x0.detach().clone().requires_grad_()
            self._damaged = operator(self._x0)
            # J^T v is linear in v, so that its derivative in the direction of u is J u.
            self._dual = torch.zeros_like(self._damaged, requires_grad=True)
            (self._pulled,) = torch.autograd.grad(
                self._damaged, self._x0, self._dual, create_graph=True
            )
        self.value = self._damaged.detach()

    def forward(self, change: Tensor) -> Tensor:
        """Return J u, (B, N), for a change u of x0, (B, ch, F, W)."""
        return torch.autograd.grad(self._pulled, self._dual, change, retain_graph=True)[0]

    def transposed(self, error: Tensor) -> Tensor:
        """Return J^T v, (B, ch, F, W), for v (B, N)."""
        return torch.autograd.grad(self._damaged, self._x0, error, retain_graph=True)[0]


class DPS(Guided):
    """Diffusion posterior sampling (Chung et al. 2023): w is the gradient of |y - A(x0)|^2/2."""

    class Config(Guided.Config):
        """Settings of the steps and of the guidance."""

        name: str = "dps"

    def direction(self, damage: Linearized, error: Tensor) -> Tensor:
        """Return the negative gradient, the transpose of the Jacobian of A times the error."""
        return damage.transposed(error)


class PiGDM(Guided):
    """Pseudoinverse-guided diffusion (Song et al. 2023): w is the pseudoinverse of A of the error.

    The pseudoinverse A^T (A A^T + lambda)^-1 is that of A linearized at x0_hat, by conjugate
    gradients. It converges faster than the gradient where A attenuates, such as for filters.
    """

    class Config(Guided.Config):
        """Settings of the steps, the guidance and the pseudoinverse."""

        name: str = "pigdm"
        iterations: int = Field(5, ge=1, le=1000)
        """Number of iterations of the conjugate gradients."""
        damping: FiniteFloat = Field(1e-3, gt=0, le=1e3)
        """Ratio of lambda to the gain of A for the error: larger for a noisy recording."""

    config: Config

    def direction(self, damage: Linearized, error: Tensor) -> Tensor:
        """Return A^T v for the solution v of (A A^T + lambda) v = error."""
        gradient = damage.transposed(error)
        size = _dot(error, error).clamp(min=SMALLEST)
        damping = self.config.damping * _dot(gradient, gradient) / size
        solution, rest = torch.zeros_like(error), error
        search, before = rest, _dot(rest, rest)
        for _ in range(self.config.iterations):
            product = damage.forward(damage.transposed(search))
            product = product + damping[:, None] * search
            step = (before / _dot(search, product).clamp(min=SMALLEST))[:, None]
            solution, rest = solution + step * search, rest - step * product
            now = _dot(rest, rest)
            search = rest + (now / before.clamp(min=SMALLEST))[:, None] * search
            before = now
        return damage.transposed(solution)


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Return the inner product of each item, (B,)."""
    return (x * y).flatten(1).sum(dim=1)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Reshape a value for each item, (B,), so that it broadcasts over ``like``."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
