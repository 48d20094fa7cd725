"""The paper's sampler, and its deterministic counterpart."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import Bridge, State, Step, StepSampler


class Ancestral(StepSampler):
    """Draws x_s from the posterior p(x_s | x0_hat, x_t) of (19) at each step."""

    class Config(StepSampler.Config):
        """Settings of the steps; the paper uses 100 for bandwidth extension, 200 for inpainting."""

        name: str = "ancestral"

    def step(self, bridge: Bridge, x0: Tensor, state: State, step: Step, noise: Tensor) -> Tensor:
        """Sample (19)."""
        return bridge.posterior(x0, state.xt, step.t, step.s).sample(noise)


class ODE(StepSampler):
    """Takes the mean of (19) at each step: the probability flow of the bridge (Liu et al. 2023)."""

    class Config(StepSampler.Config):
        """Settings of the steps."""

        name: str = "ode"

    def draws(self, step: Step) -> bool:
        """Return False, because no step draws noise."""
        return False

    def step(self, bridge: Bridge, x0: Tensor, state: State, step: Step, noise: Tensor) -> Tensor:
        """Move to the mean of (19)."""
        return bridge.posterior(x0, state.xt, step.t, step.s).mean
