"""Window sampler: a sampler that processes recordings of any length in windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.prediction import Denoiser
from a2sb_core.interfaces.sampler import Sampler
from a2sb_core.interfaces.types import Noise

OnFrames = Callable[[float], None]
"""Function that receives a number of finished frames; one of S steps of a frame counts as 1/S."""

Ranges = tuple[tuple[int, int], ...]
"""Ranges (first, end) of frames, ascending and disjoint."""

ENDLESS = 1 << 62
"""End of a range that extends to the end of the recording."""


@dataclass(frozen=True)
class Frames:
    """The frames of a stream from ``start`` on: ``x`` (B, ch, F, n), and their missing region."""

    start: int
    x: Tensor
    missing: Tensor | None


class SamplerStream(ABC):
    """Samples x0 of a recording that arrives in pieces; see :meth:`WindowSampler.stream`."""

    @abstractmethod
    def push(self, piece: Frames) -> list[Frames]:
        """Add the next frames of x1, in order; return the restored frames that are ready.

        Frames outside of :meth:`WindowSampler.needed` may be left out.
        """

    def skip(self, frame: int) -> list[Frames]:
        """Leave out the frames before ``frame``; return the restored frames that this completes.

        Without this call, a stream learns of omitted frames by the next piece only. Default: no
        frames.
        """
        return []

    @abstractmethod
    def finish(self, frames: int) -> list[Frames]:
        """Return the remaining frames of a recording of ``frames`` frames in total."""


class WindowSampler(Sampler):
    """A sampler whose network sees windows of a recording, an optional second interface.

    It restores a stream in constant memory. With any other :class:`Sampler`, a recording is
    restored in one piece.

    Attributes:
        window: number of frames that the network sees at once; None if it sees all of them.
        batch: largest number of windows that are evaluated together.
    """

    window: int | None
    batch: int = 1

    @abstractmethod
    def stream(
        self, denoiser: Denoiser, bridge: Bridge, noise: Noise, on_frames: OnFrames | None = None
    ) -> SamplerStream:
        """Return a stream with the same result as :meth:`sample` on the whole recording."""

    @abstractmethod
    def needed(self, missing: Ranges) -> Ranges:
        """Return the ranges of frames that a stream needs to restore the ``missing`` frames."""

    @abstractmethod
    def warm_up(self, frame: int, items: int, multiple: int) -> int:
        """Return the first frame that a stream needs to restore the frames from ``frame`` on.

        A stream of B = ``items`` that receives the first window and the frames from the returned
        one on yields the same values from ``frame`` on as a stream that receives all frames. The
        result is a multiple of ``multiple``.
        """

    @abstractmethod
    def frames_held(self, items: int) -> int:
        """Return the largest number of frames that a stream holds of each of ``items`` items."""

    @abstractmethod
    def with_batch(self, windows: int) -> WindowSampler:
        """Return this sampler with at most ``windows`` windows evaluated together."""
