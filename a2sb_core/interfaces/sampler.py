"""Sampler: walks from x1 back to x0 with a denoiser and a bridge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.config.component import ComponentConfig
from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.prediction import Denoiser
from a2sb_core.interfaces.types import Noise

OnStep = Callable[[int, int], None]


class Sampler(Component, ABC):
    """Restores x0 from x1.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Noise, Sampler
        >>> class OneLook(Sampler):
        ...     '''Take the denoiser's first answer.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "one_look"
        ...     def sample(self, denoiser, bridge, x1, missing, noise, on_step=None):
        ...         return denoiser(x1, torch.ones(len(x1)), x1, missing)
        >>> x1 = torch.zeros(1, 3, 8, 4)
        >>> sampler, noise = OneLook.Config().build(), Noise(0, 3, 8)
        >>> float(sampler.sample(lambda xt, t, x1, m: xt + 1, None, x1, None, noise).mean())
        1.0
    """

    kind = "sampler"

    @abstractmethod
    def sample(
        self, denoiser: Denoiser, bridge: Bridge, x1: Tensor, missing: Tensor | None,
        noise: Noise, on_step: OnStep | None = None,
    ) -> Tensor:
        """Return x0 (B, ch, F, W) with what is not ``missing`` taken from x1.

        ``on_step(done, of)`` is called after each evaluation of the network; what it raises ends
        the sampling.
        """

    def with_steps(self, steps: int) -> Sampler:
        """Return this sampler with another number of network evaluations per window."""
        return self.config.model_copy(update={"steps": steps}).build()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Step:
    """One step of a sampler: from time ``t`` to ``s``, both scalars; ``index`` counts from 1."""

    index: int
    t: Tensor
    s: Tensor


class StepSampler(Sampler):
    """A sampler of equal steps: one network evaluation, then one elementwise :meth:`step`.

    Nothing here mixes frames: that is what lets windows of a long file be sampled in any order.

    Example:
        >>> from a2sb_core.interfaces import StepSampler
        >>> class Jump(StepSampler):
        ...     '''Move along the straight line from x_t to the estimate.'''
        ...     class Config(StepSampler.Config):
        ...         name: str = "jump"
        ...     def step(self, bridge, x0, xt, x1, step, noise):
        ...         return x0 + (xt - x0) * step.s / step.t
        >>> [round(float(t), 2) for t in Jump.Config(steps=4).build().times()]
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    class Config(ComponentConfig):
        """``steps`` network evaluations at equally spaced times from 1 down to ``t_end``."""

        steps: int = Field(50, ge=1)
        t_end: float = Field(0.0, ge=0, lt=1)

    @abstractmethod
    def step(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, step: Step, noise: Tensor
    ) -> Tensor:
        """Return x_s from the estimate of x0 and x_t; ``noise`` is standard normal, (ch, F, W)."""

    def times(self) -> Tensor:
        """Return the times of the evaluations, descending from 1, closed by 0: (steps + 1,)."""
        steps, end = self.config.steps, self.config.t_end
        if end == 0:
            return torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        return torch.cat([torch.linspace(1, end, steps, dtype=torch.float64), torch.zeros(1)])

    def sample(
        self, denoiser: Denoiser, bridge: Bridge, x1: Tensor, missing: Tensor | None,
        noise: Noise, on_step: OnStep | None = None,
    ) -> Tensor:
        """Walk all steps over the whole of x1."""
        times, x, frames = self.times(), x1, x1.shape[-1]
        for i in range(1, len(times)):
            t, s = times[i - 1], times[i]
            x0 = denoiser(x, t.to(x).expand(len(x)), x1, missing)
            if missing is not None:
                x0 = torch.where(missing, x0, x1)
            if s == 0:
                x = x0
            else:
                x = self.step(bridge, x0, x, x1, Step(i, t, s), noise.at(i, 0, frames).to(x))
            if on_step is not None:
                on_step(i, len(times) - 1)
        return x
