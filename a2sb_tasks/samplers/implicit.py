"""Few-step samplers: diffusion bridge implicit models (Zheng et al. 2024; Wang et al. 2024)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import Bridge, State, Step, StepSampler, per_item


class Implicit(StepSampler):
    """Non-Markovian bridges with the marginals of (9), from deterministic to ancestral.

    The noise that x_t and x0_hat imply, n = (x_t - a x0_hat - b x1)/c, is reused at time s, either
    completely or together with fresh noise:

        x_s = a' x0_hat + b' x1 + sqrt(c'^2 - rho^2) n + rho noise,  rho = eta sd(p(x_s|x0, x_t))

    ``eta`` 0 is deterministic, and 1 is (19). At t = 1 the bridge implies no noise (c = 0), so that
    noise is drawn once from the seed.

    ``order`` 2 follows the deterministic path more accurately: x_s/c' solves an ordinary
    differential equation in lambda = log(a/c), in which x0_hat is a line through the last two
    estimates instead of a constant. It needs no additional network evaluations.
    """

    class Config(StepSampler.Config):
        """Settings of the steps and of their noise."""

        name: str = "implicit"
        steps: int = Field(10, ge=1, le=10_000)
        """Number of network evaluations."""
        eta: float = Field(0.0, ge=0, le=1)
        """Amount of fresh noise relative to (19); 0 is deterministic."""
        order: Literal[1, 2] = 1
        """Order of the integration; 2 uses the previous estimate, and requires ``eta`` 0."""

        @model_validator(mode="after")
        def _check_order(self) -> Implicit.Config:
            if self.order == 2 and self.eta > 0:
                raise ValueError("order 2 follows a deterministic path: it requires eta 0")
            return self

    config: Config

    SMALLEST_C = 1e-6  # c at t = 1, in double precision, differs from zero only by rounding

    @property
    def looks_back(self) -> bool:  # type: ignore[override]
        """Whether the sampler uses the estimate of the previous step, as for order 2."""
        return self.config.order == 2

    def draws(self, step: Step) -> bool:
        """Return whether there is fresh noise, or the step starts at t = 1."""
        return self.config.eta > 0 or float(step.t) == 1

    def step(self, bridge: Bridge, x0: Tensor, state: State, step: Step, noise: Tensor) -> Tensor:
        """Move to time s with the implied noise."""
        xt, x1 = state.xt, state.x1
        a, b, c = (per_item(value, xt) for value in bridge.coefficients(step.s))
        if float(bridge.coefficients(step.t)[2]) <= self.SMALLEST_C:
            return a * x0 + b * x1 + c * noise
        at, bt, ct = (per_item(value, xt) for value in bridge.coefficients(step.t))
        implied = (xt - at * x0 - bt * x1) / ct
        if self.config.eta > 0:
            variance = self.config.eta**2 * bridge.posterior(x0, state.xt, step.t, step.s).variance
            kept = (c**2 - variance).clamp(min=0).sqrt()
            return a * x0 + b * x1 + kept * implied + variance.sqrt() * noise
        return a * x0 + b * x1 + c * implied + self._curve(bridge, x0, step)

    def _curve(self, bridge: Bridge, x0: Tensor, step: Step) -> Tensor:
        """Return the contribution of the slope of x0_hat over lambda, (B, ch, F, W) or zero."""
        before = step.before
        if self.config.order == 1 or before is None:
            return x0.new_zeros(())
        (_, earlier), (ratio_t, now), (ratio_s, then) = (
            _log_ratio(bridge, t) for t in (before.t, step.t, step.s)
        )
        if not torch.isfinite(earlier):
            return x0.new_zeros(())  # x_t is independent of x0 at t = 1, so the slope is unknown
        grown = ratio_s * (then - now - 1) + ratio_t
        share = bridge.coefficients(step.s)[2] * grown / (now - earlier)
        return per_item(share, x0) * (x0 - before.x0)


def _log_ratio(bridge: Bridge, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return a/c and its logarithm at time t."""
    a, _, c = bridge.coefficients(t)
    ratio = a / c if float(c) > Implicit.SMALLEST_C else torch.zeros_like(a)
    return ratio, ratio.log()
