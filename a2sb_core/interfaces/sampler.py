"""Sampler: the algorithm that goes from x1 to x0 with a denoiser and a bridge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.common.limits import MAX_STEPS
from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.differentiable import Measurement
from a2sb_core.interfaces.item import Degraded
from a2sb_core.interfaces.prediction import Denoiser
from a2sb_core.interfaces.state import State
from a2sb_core.interfaces.types import Noise
from a2sb_core.plugins.component_config import ComponentConfig

OnStep = Callable[[int, int], None]
"""Function that receives the number of network evaluations that are done, and their total."""


class Sampler(Component, ABC):
    """Restores x0 from x1, the degraded end of a bridge.

    Attributes:
        guides: whether :meth:`guide` changes the denoiser, which requires damage that can be
            differentiated.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Degraded, Noise, Sampler, State
        >>> class OneStep(Sampler):
        ...     '''Return the first estimate of the denoiser.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "one_step"
        ...     def sample(self, denoiser, bridge, degraded, noise, on_step=None):
        ...         return denoiser(degraded.state(degraded.x1, t=1.0))
        >>> degraded = Degraded(torch.zeros(1, 3, 8, 4), None)
        >>> sampler, noise = OneStep.Config().build(), Noise(0, 3, 8)
        >>> float(sampler.sample(lambda state: state.xt + 1, None, degraded, noise).mean())
        1.0
    """

    kind = "sampler"
    guides: bool = False

    @abstractmethod
    def sample(
        self,
        denoiser: Denoiser,
        bridge: Bridge,
        degraded: Degraded,
        noise: Noise,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Return x0 (B, ch, F, W), with everything that is not missing taken from x1.

        ``on_step(done, of)`` is called after each network evaluation. An exception that it raises
        ends the sampling.
        """

    def guide(self, denoiser: Denoiser, measurement: Measurement) -> Denoiser:
        """Return a denoiser whose estimates agree with a measurement (default: the same denoiser).

        With a guided denoiser, an unconditional model samples from the posterior of x0 given the
        recording. It receives whole windows, see :meth:`Measurement.compare`.
        """
        return denoiser

    @property
    def evaluations(self) -> int | None:
        """Number of network evaluations for each frame; None if it is not configured."""
        return getattr(self.config, "steps", None)

    def with_steps(self, steps: int) -> Sampler:
        """Return this sampler with another number of network evaluations."""
        return self.config.model_copy(update={"steps": steps}).build()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Estimate:
    """The estimate of x0 that the denoiser made at time ``t``."""

    t: Tensor
    x0: Tensor


@dataclass(frozen=True)
class Step:
    """One step of a sampler: from time ``t`` to ``s``, both scalars; ``index`` counts from 1.

    ``before`` is the estimate of the previous step, for samplers that look back.
    """

    index: int
    t: Tensor
    s: Tensor
    before: Estimate | None = None


class StepSampler(Sampler):
    """A sampler in which each step is a network evaluation and an elementwise :meth:`step`.

    No step mixes frames, so the windows of a long file can be sampled in any order. A sampler that
    uses :attr:`Step.before` sets ``looks_back``.

    Example:
        >>> from a2sb_core.interfaces import StepSampler
        >>> class Jump(StepSampler):
        ...     '''Move along the straight line from x_t to the estimate.'''
        ...     class Config(StepSampler.Config):
        ...         name: str = "jump"
        ...     def step(self, bridge, x0, state, step, noise):
        ...         return x0 + (state.xt - x0) * step.s / step.t
        >>> [round(float(t), 2) for t in Jump.Config(steps=4).build().times()]
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    class Config(ComponentConfig):
        """Times of the network evaluations."""

        steps: int = Field(50, ge=1, le=MAX_STEPS)
        """Number of network evaluations."""
        t_end: float = Field(0.0, ge=0, lt=1)
        """Time of the last evaluation; the first one is at t = 1."""
        endpoint: bool = True
        """Whether the last evaluation is at ``t_end``; if not, the times are those of one more
        evaluation without the last, as in the published code."""
        spacing: Literal["uniform", "cosine", "quadratic"] = "uniform"
        """Spacing of the times: ``uniform``; ``cosine``, denser near both ends; ``quadratic``,
        denser near 0."""

    looks_back = False

    def draws(self, step: Step) -> bool:
        """Return whether :meth:`step` uses its noise, which takes time to draw."""
        return True

    @abstractmethod
    def step(self, bridge: Bridge, x0: Tensor, state: State, step: Step, noise: Tensor) -> Tensor:
        """Return x_s from the estimate of x0 and the state at t.

        Args:
            bridge: the random process.
            x0: estimate of x0, (B, ch, F, W).
            state: x_t, the times t of the items, x1 and the missing region.
            step: the times t and s as scalars, and the number of the step.
            noise: standard normal values, (ch, F, W).
        """

    def times(self) -> Tensor:
        """Return the times of the evaluations, descending from 1, and a final 0, (steps + 1,)."""
        steps, end = self.config.steps, self.config.t_end
        goes_on = end == 0 or not self.config.endpoint
        u = torch.linspace(1, 0, steps + goes_on, dtype=torch.float64)
        spaced = {"uniform": u, "cosine": torch.sin(math.pi / 2 * u) ** 2, "quadratic": u**2}
        times = end + (1 - end) * spaced[self.config.spacing]
        return torch.cat([times[:steps], torch.zeros(1)])

    def steps(self) -> list[Step]:
        """Return the steps between :meth:`times`."""
        times = self.times()
        return [Step(i, times[i - 1], times[i]) for i in range(1, len(times))]

    def advance(
        self, bridge: Bridge, x0: Tensor, state: State, step: Step, noise: Noise, start: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return x_s for the frames from ``start`` on, and x0 with known content from x1."""
        if state.missing is not None:
            x0 = torch.where(state.missing, x0, state.x1)
        if step.s == 0:
            return x0, x0
        drawn = state.xt
        if self.draws(step):
            drawn = noise.at(step.index, start, start + drawn.shape[-1]).to(drawn)
        return self.step(bridge, x0, state, step, drawn), x0

    def sample(
        self,
        denoiser: Denoiser,
        bridge: Bridge,
        degraded: Degraded,
        noise: Noise,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Run all steps on the whole of x1."""
        x, before, steps = bridge.start(degraded.x1, noise), None, self.steps()
        for step in steps:
            state = degraded.state(x, step.t)
            x0 = denoiser(state)
            x, x0 = self.advance(bridge, x0, state, replace(step, before=before), noise)
            before = Estimate(step.t, x0) if self.looks_back else None
            if on_step is not None:
                on_step(step.index, len(steps))
        return x
