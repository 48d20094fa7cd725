"""The deterministic sampler of diffusion bridge implicit models (Zheng et al. 2024)."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import Bridge, Step, StepSampler, per_item


class Implicit(StepSampler):
    """Carries the noise implied by x_t and x0_hat from t to s through the bridge's a, b, c.

    n = (x_t - a x0_hat - b x1)/c at t, then x_s = a' x0_hat + b' x1 + c' n. At t = 1 the bridge
    has no noise to imply (c = 0): there it is drawn once, from the seed.
    """

    class Config(StepSampler.Config):
        """Steps."""

        name: str = "implicit"
        steps: int = 10

    SMALLEST_C = 1e-6  # of the double-precision c at t = 1, which is zero but for rounding

    def step(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, step: Step, noise: Tensor
    ) -> Tensor:
        """Carry the implied noise to time s."""
        a, b, c = bridge.coefficients(step.t)
        if float(c) > self.SMALLEST_C:
            noise = (xt - per_item(a, xt) * x0 - per_item(b, xt) * x1) / per_item(c, xt)
        a, b, c = (per_item(value, xt) for value in bridge.coefficients(step.s))
        return a * x0 + b * x1 + c * noise
