"""Sampler: walks from x1 back to x0 with a denoiser and a bridge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.config.component import ComponentConfig
from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.prediction import Denoiser
from a2sb_core.interfaces.types import Noise

OnStep = Callable[[int, int], None]
OnFrames = Callable[[float], None]
Ranges = tuple[tuple[int, int], ...]
"""Stretches (first, end) of frames, ascending and apart."""

ENDLESS = 1 << 62
"""The end of a range that lasts as long as the recording."""


@dataclass(frozen=True)
class Frames:
    """Frames ``start`` and following of a stream: ``x`` (B, ch, F, n), and which are missing."""

    start: int
    x: Tensor
    missing: Tensor | None


class SamplerStream(ABC):
    """Samples x0 of a recording that comes in pieces; made by :meth:`Sampler.stream`."""

    @abstractmethod
    def push(self, piece: Frames) -> list[Frames]:
        """Take the next frames of x1, in order; return restored frames that are ready, in order.

        Frames outside of :meth:`Sampler.needed` may be left out.
        """

    @abstractmethod
    def finish(self, frames: int) -> list[Frames]:
        """Return what is left; the recording had that many frames in all."""


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
    frames_at_once: int | None = None
    """Frames that the network sees together; None: all of the recording."""

    @abstractmethod
    def sample(
        self, denoiser: Denoiser, bridge: Bridge, x1: Tensor, missing: Tensor | None,
        noise: Noise, on_step: OnStep | None = None,
    ) -> Tensor:
        """Return x0 (B, ch, F, W) with what is not ``missing`` taken from x1.

        ``on_step(done, of)`` is called after each evaluation of the network; what it raises ends
        the sampling.
        """

    def stream(
        self, denoiser: Denoiser, bridge: Bridge, noise: Noise, on_frames: OnFrames | None = None
    ) -> SamplerStream:
        """Return this sampler for pieces, with the result of :meth:`sample` on the whole.

        ``on_frames(n)`` is called as n more frames are done, one of S steps counting as 1/S.
        Default: the pieces are collected, and sampled when the last is there.
        """
        return _Collected(self, denoiser, bridge, noise, on_frames)

    def needed(self, missing: Ranges) -> Ranges:
        """Return the ranges of frames that a stream must be given to restore ``missing`` ones."""
        return ((0, ENDLESS),)

    def warm_up(self, frame: int, items: int, multiple: int) -> int:
        """Return a multiple of ``multiple``, from which frames suffice for all from ``frame`` on.

        A stream of B = ``items`` that gets the first frames and those from there on gives, from
        ``frame`` on, the very numbers of a stream that gets all. Default: 0.
        """
        return 0

    def frames_held(self, items: int) -> int:
        """Return how many frames of ``items`` recordings a stream holds, at most, of each."""
        return 0

    def with_batch(self, windows: int) -> Sampler:
        """Return this sampler with at most so many windows evaluated at once; default: itself."""
        return self

    def with_steps(self, steps: int) -> Sampler:
        """Return this sampler with another number of network evaluations per window."""
        return self.config.model_copy(update={"steps": steps}).build()  # type: ignore[no-any-return]


class _Collected(SamplerStream):
    """The stream of a sampler that must see the whole recording."""

    def __init__(
        self, sampler: Sampler, denoiser: Denoiser, bridge: Bridge, noise: Noise,
        on_frames: OnFrames | None,
    ) -> None:
        self.sampler, self.parts = sampler, (denoiser, bridge)
        self.noise, self.on_frames = noise, on_frames
        self.pieces: list[Frames] = []

    def push(self, piece: Frames) -> list[Frames]:
        self.pieces.append(piece)
        return []

    def finish(self, frames: int) -> list[Frames]:
        x1 = torch.cat([piece.x for piece in self.pieces], dim=-1)
        regions = [piece.missing for piece in self.pieces if piece.missing is not None]
        missing = torch.cat(regions, dim=-1) if regions else None

        def on_step(done: int, of: int) -> None:
            if self.on_frames is not None:
                self.on_frames(frames / of)

        denoiser, bridge = self.parts
        x0 = self.sampler.sample(denoiser, bridge, x1, missing, self.noise, on_step)
        return [Frames(0, x0, missing)]


@dataclass(frozen=True)
class Estimate:
    """The denoiser's answer x0 at time ``t``."""

    t: Tensor
    x0: Tensor


@dataclass(frozen=True)
class Step:
    """One step of a sampler: from time ``t`` to ``s``, both scalars; ``index`` counts from 1.

    ``before`` is the estimate of the step before, for samplers that look back.
    """

    index: int
    t: Tensor
    s: Tensor
    before: Estimate | None = None


class StepSampler(Sampler):
    """A sampler of equal steps: one network evaluation, then one elementwise :meth:`step`.

    Nothing here mixes frames: that is what lets windows of a long file be sampled in any order.
    A sampler that uses :attr:`Step.before` sets ``looks_back``.

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
        """Times of the network evaluations."""

        steps: int = Field(50, ge=1)
        """Network evaluations."""
        t_end: float = Field(0.0, ge=0, lt=1)
        """Time of the last one; the first is at 1."""
        spacing: Literal["uniform", "cosine", "quadratic"] = "uniform"
        """Of the times: ``uniform``; ``cosine``, denser near both ends; ``quadratic``, denser near
        0."""

    looks_back = False

    def draws(self, step: Step) -> bool:
        """Whether :meth:`step` looks at the noise there; drawing takes time."""
        return True

    @abstractmethod
    def step(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, step: Step, noise: Tensor
    ) -> Tensor:
        """Return x_s from the estimate of x0 and x_t; ``noise`` is standard normal, (ch, F, W)."""

    def times(self) -> Tensor:
        """Return the times of the evaluations, descending from 1, closed by 0: (steps + 1,)."""
        steps, end = self.config.steps, self.config.t_end
        u = torch.linspace(1, 0, steps + 1 if end == 0 else steps, dtype=torch.float64)
        spaced = {"uniform": u, "cosine": torch.sin(math.pi / 2 * u) ** 2, "quadratic": u**2}
        times = end + (1 - end) * spaced[self.config.spacing]
        return times if end == 0 else torch.cat([times, torch.zeros(1)])

    def steps(self) -> list[Step]:
        """Return the steps between :meth:`times`."""
        times = self.times()
        return [Step(i, times[i - 1], times[i]) for i in range(1, len(times))]

    def advance(
        self, bridge: Bridge, x0: Tensor, xt: Tensor, x1: Tensor, missing: Tensor | None,
        step: Step, noise: Noise, start: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Return x_s of frames from ``start`` on, and x0 with what is known taken from x1."""
        if missing is not None:
            x0 = torch.where(missing, x0, x1)
        if step.s == 0:
            return x0, x0
        drawn = xt
        if self.draws(step):
            drawn = noise.at(step.index, start, start + xt.shape[-1]).to(xt)
        return self.step(bridge, x0, xt, x1, step, drawn), x0

    def sample(
        self, denoiser: Denoiser, bridge: Bridge, x1: Tensor, missing: Tensor | None,
        noise: Noise, on_step: OnStep | None = None,
    ) -> Tensor:
        """Walk all steps over the whole of x1."""
        x, before, steps = bridge.start(x1, noise), None, self.steps()
        for step in steps:
            x0 = denoiser(x, step.t.to(x).expand(len(x)), x1, missing)
            step = replace(step, before=before)
            x, x0 = self.advance(bridge, x0, x, x1, missing, step, noise)
            before = Estimate(step.t, x0) if self.looks_back else None
            if on_step is not None:
                on_step(step.index, len(steps))
        return x
