"""MultiDiffusion: a long sample from a network with short windows, Algorithm 1 and (20)."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    AnySampler,
    Bridge,
    ComponentConfig,
    Degraded,
    Denoiser,
    Measurement,
    Noise,
    OnFrames,
    OnStep,
    Ranges,
    Sampler,
    SamplerStream,
    State,
    StepSampler,
    WindowSampler,
)
from a2sb_tasks.samplers.wavefront import Wavefront

WINDOWS_AT_ONCE = 4


class MultiDiffusion(WindowSampler):
    """Runs ``inner`` on the whole file; at each step the network sees overlapping windows.

    Outputs are averaged where windows overlap, (20). The end is padded with the first frames of the
    file to a whole number of hops. Windows without missing content are not evaluated.
    """

    class Config(ComponentConfig):
        """Settings of the windows, and the inner sampler."""

        name: str = "multidiffusion"
        inner: AnySampler
        """Sampler of the steps."""
        window: int = Field(256, ge=1, le=65_536)
        """Number of frames W of a window."""
        hop: int = Field(128, ge=1, le=65_536)
        """Number of frames H between windows."""
        weighting: Literal["uniform", "smooth"] = "uniform"
        """Weights of the frames of a window: ``uniform`` as in the paper, or ``smooth``, a squared
        sine that prefers the middle of a window."""
        batch: int | None = Field(None, ge=1, le=65_536)
        """Largest number of windows that are evaluated at once. The default is 4, or as many as fit
        into the memory where a restoration measures it."""
        state: Literal["device", "host"] = "device"
        """Memory in which a stream keeps the frames in flight."""

        @model_validator(mode="after")
        def _check_hop(self) -> MultiDiffusion.Config:
            if self.window % self.hop:
                raise ValueError(f"hop {self.hop} must divide window {self.window}")
            return self

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.inner: Sampler = self.config.inner.build()
        self.window = self.config.window
        self.batch: int = self.config.batch or WINDOWS_AT_ONCE
        if not isinstance(self.inner, StepSampler):
            raise ValueError(
                f"multidiffusion needs an inner sampler that moves frame by frame (a StepSampler), "
                f"not `{self.config.inner.name}`"
            )

        self.guides = self.inner.guides

    def guide(self, denoiser: Denoiser, measurement: Measurement) -> Denoiser:
        """Guide the denoiser of windows as the inner sampler does."""
        return self.inner.guide(denoiser, measurement)

    @property
    def evaluations(self) -> int | None:
        """Number of network evaluations for each window, that of the inner sampler."""
        return self.inner.evaluations

    def with_steps(self, steps: int) -> Sampler:
        """Return this sampler with another number of steps of the inner sampler."""
        inner = self.config.inner.model_copy(update={"steps": steps})
        return MultiDiffusion(self.config.model_copy(update={"inner": inner}))

    def sample(
        self,
        denoiser: Denoiser,
        bridge: Bridge,
        degraded: Degraded,
        noise: Noise,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Sample x0 for any number of frames."""
        x1, missing = degraded.x1, degraded.missing
        frames = x1.shape[-1]
        if missing is not None:
            missing = self.pad(missing.expand(len(x1), 1, x1.shape[2], frames))
        windowed, padded = self.windowed(denoiser), Degraded(self.pad(x1), missing)
        return self.inner.sample(windowed, bridge, padded, noise, on_step)[..., :frames]

    def with_batch(self, windows: int) -> WindowSampler:
        """Return this sampler with at most ``windows`` windows evaluated together."""
        batch = min(windows, self.config.batch or windows)
        return MultiDiffusion(self.config.model_copy(update={"batch": batch}))

    def frames_held(self, items: int) -> int:
        """Return the largest number of frames in flight, for each of ``items`` items."""
        assert isinstance(self.inner, StepSampler)
        window, hop = self.config.window, self.config.hop
        in_steps = len(self.inner.steps()) * (window - hop)
        return int(in_steps + max(1, self.batch // items) * hop + window)

    def stream(
        self, denoiser: Denoiser, bridge: Bridge, noise: Noise, on_frames: OnFrames | None = None
    ) -> SamplerStream:
        """Return a stream in constant memory with the same result as :meth:`sample`."""
        assert isinstance(self.inner, StepSampler)
        return Wavefront(
            self.inner,
            denoiser,
            bridge,
            noise,
            self.weights(),
            self.config.hop,
            self.batch,
            self.config.state == "host",
            on_frames,
        )

    def needed(self, missing: Ranges) -> Ranges:
        """Return the windows with missing content, and the first window for the padding."""
        window, hop = self.config.window, self.config.hop
        ranges = [(0, window)]
        for first, end in missing:
            start = max(0, first // hop * hop - window + hop)
            stop = (end - 1) // hop * hop + window
            if start <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], max(stop, ranges[-1][1]))
            else:
                ranges.append((start, stop))
        return tuple(ranges)

    def warm_up(self, frame: int, items: int, multiple: int) -> int:
        """Return the first frame that a stream needs for the frames from ``frame`` on.

        Each step reaches ``window - hop`` frames further back, and batches must contain the same
        windows.
        """
        assert isinstance(self.inner, StepSampler)
        window, hop = self.config.window, self.config.hop
        at_once = max(1, self.batch // items)
        first = max(0, frame - len(self.inner.steps()) * (window - hop) - at_once * hop)
        aligned = math.lcm(at_once * hop, multiple)
        return int(first // aligned * aligned)

    def pad(self, x: Tensor) -> Tensor:
        """Pad frames cyclically to a window and a whole number of hops."""
        window, hop, frames = self.config.window, self.config.hop, x.shape[-1]
        total = window + hop * max(0, math.ceil((frames - window) / hop))
        return x[..., torch.arange(total, device=x.device) % frames]

    def windowed(self, denoiser: Denoiser) -> Denoiser:
        """Convert a denoiser of windows to one of any whole number of hops, (20)."""
        window, hop, batch = self.config.window, self.config.hop, self.batch

        def denoise(state: State) -> Tensor:
            xt = state.xt
            weight = self.weights().to(xt)
            total, norm = torch.zeros_like(xt), torch.zeros_like(xt[:1, :1, :1])
            places = _windows_to_run(state.missing, xt.shape[-1], window, hop)
            group = max(1, batch // len(xt))
            for i in range(0, len(places), group):
                starts = places[i : i + group]
                cut = partial(_gather, starts=starts, window=window)
                outputs = denoiser(state.map(cut, state.t.repeat(len(starts))))
                for start, output in zip(starts, outputs.chunk(len(starts)), strict=True):
                    total[..., start : start + window] += weight * output
                    norm[..., start : start + window] += weight
            return total / norm.clamp(min=torch.finfo(norm.dtype).tiny)

        return denoise

    def weights(self) -> Tensor:
        """Return the positive weight of each frame of a window, (W,)."""
        window = self.config.window
        if self.config.weighting == "uniform":
            return torch.ones(window)
        return torch.sin(math.pi * (torch.arange(window) + 0.5) / window) ** 2


def _windows_to_run(missing: Tensor | None, frames: int, window: int, hop: int) -> list[int]:
    """Return the first frames of the windows with missing content."""
    starts = list(range(0, frames - window + 1, hop))
    if missing is None:
        return starts
    wanted = missing.any(dim=2).any(dim=1).any(dim=0).cpu()
    return [start for start in starts if bool(wanted[start : start + window].any())]


def _gather(x: Tensor, starts: list[int], window: int) -> Tensor:
    """Stack windows along the items: all items of the first window, then those of the second."""
    return torch.cat([x[..., start : start + window] for start in starts])
