"""The paper's sampler and its deterministic mean."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import Bridge, Step, StepSampler


class Ancestral(StepSampler):
    """Draws x_s from the posterior p(x_s | x0_hat, x_t) of (19) at each step."""

    class Config(StepSampler.Config):
        """Steps; the paper takes 100 for bandwidth extension and 200 for inpainting."""

        name: str = "ancestral"

    def step(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, step: Step, noise: Tensor
    ) -> Tensor:
        """Sample (19)."""
        return bridge.posterior(x0, xt, step.t, step.s).sample(noise)


class ODE(StepSampler):
    """Takes the mean of (19) at each step: the probability flow of the bridge (Liu et al. 2023)."""

    class Config(StepSampler.Config):
        """Steps."""

        name: str = "ode"

    def draws(self, step: Step) -> bool:
        """Never."""
        return False

    def step(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, step: Step, noise: Tensor
    ) -> Tensor:
        """Move to the mean of (19)."""
        return bridge.posterior(x0, xt, step.t, step.s).mean
