"""Adapter that makes every sampler a window sampler, if necessary with one window for all."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_core.interfaces import (
    ENDLESS,
    Bridge,
    Degraded,
    Denoiser,
    Frames,
    Measurement,
    Noise,
    OnFrames,
    OnStep,
    Ranges,
    Sampler,
    SamplerStream,
    WindowSampler,
)


def as_window_sampler(sampler: Sampler) -> WindowSampler:
    """Return a window sampler unchanged, and wrap any other sampler."""
    return sampler if isinstance(sampler, WindowSampler) else _WholeRecording(sampler)


class _WholeRecording(WindowSampler):
    """A sampler that needs the whole recording, as a window sampler with a single window."""

    def __init__(self, inner: Sampler) -> None:
        super().__init__(inner.config)
        self.inner, self.window = inner, None
        self.guides = inner.guides

    def guide(self, denoiser: Denoiser, measurement: Measurement) -> Denoiser:
        """Guide as the inner sampler does."""
        return self.inner.guide(denoiser, measurement)

    def sample(
        self,
        denoiser: Denoiser,
        bridge: Bridge,
        degraded: Degraded,
        noise: Noise,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Sample with the inner sampler."""
        return self.inner.sample(denoiser, bridge, degraded, noise, on_step)

    def with_steps(self, steps: int) -> Sampler:
        """Return the adapter of the inner sampler with another number of steps."""
        return _WholeRecording(self.inner.with_steps(steps))

    def stream(
        self, denoiser: Denoiser, bridge: Bridge, noise: Noise, on_frames: OnFrames | None = None
    ) -> SamplerStream:
        """Return a stream that collects all pieces before it samples."""
        return _Collected(self.inner, denoiser, bridge, noise, on_frames)

    def needed(self, missing: Ranges) -> Ranges:
        """Return all frames."""
        return ((0, ENDLESS),)

    def warm_up(self, frame: int, items: int, multiple: int) -> int:
        """Return the first frame."""
        return 0

    def frames_held(self, items: int) -> int:
        """Return 0, because the length of the recording is not known."""
        return 0

    def with_batch(self, windows: int) -> WindowSampler:
        """Return this sampler."""
        return self


class _Collected(SamplerStream):
    """The pieces of a recording, sampled together at the end."""

    def __init__(
        self,
        sampler: Sampler,
        denoiser: Denoiser,
        bridge: Bridge,
        noise: Noise,
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
        x0 = self.sampler.sample(denoiser, bridge, Degraded(x1, missing), self.noise, on_step)
        return [Frames(0, x0, missing)]
