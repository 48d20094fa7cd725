"""Values that components exchange: Grid, Item, Degraded, Gaussian and Noise.

Letters for shapes: B items, C audio channels, T samples, ch representation channels,
F rows (frequencies), W frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from a2sb_core.interfaces.representation import Representation

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Grid:
    """Where the values of a representation lie in frequency and time.

    Attributes:
        sample_rate: of the audio behind the representation, Hz.
        freqs_hz: frequency of each row, (F,), ascending.
        times_s: time of the middle of each frame, (W,), seconds from the start of the audio.
        frame_s: how long a stretch of audio one frame is made from, seconds.
    """

    sample_rate: int
    freqs_hz: Tensor
    times_s: Tensor
    frame_s: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and frames, (F, W)."""
        return len(self.freqs_hz), len(self.times_s)


@dataclass(frozen=True)
class Item:
    """Audio beside its representation: what a corruption works on.

    Attributes:
        wave: (B, T), one channel of audio an item.
        z: ``representation.encode(wave)``, (B, ch, F, W).
        representation: the representation that made ``z``.
        start: number of the first frame, where the item is a piece of a longer recording.
    """

    wave: Tensor
    z: Tensor
    representation: Representation
    start: int = 0

    @property
    def grid(self) -> Grid:
        """Frequencies and times of ``z``; times count from the start of the recording."""
        first = self.representation.grid(1)
        spacing_s = self.representation.stride / self.representation.sample_rate
        number = torch.arange(self.start, self.start + self.z.shape[-1], dtype=torch.float64)
        return replace(first, times_s=first.times_s[0] + number * spacing_s)

    def draw(self, noise: Noise, step: int = 0) -> Tensor:
        """Return the noise of a step at the place of this item, (ch, F, W)."""
        return noise.at(step, self.start, self.start + self.z.shape[-1])


@dataclass(frozen=True)
class Degraded:
    """A degraded item, the start of the bridge.

    Attributes:
        x1: degraded representation, (B, ch, F, W).
        missing: boolean, broadcastable to (B, 1, F, W), True where content is to be restored;
            None where everything may change.
    """

    x1: Tensor
    missing: Tensor | None


@dataclass(frozen=True)
class Gaussian:
    """An isotropic normal distribution: ``mean`` of any shape and a broadcastable ``variance``."""

    mean: Tensor
    variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Draw with the given standard normal ``noise``, of the shape of the mean."""
        return self.mean + self.variance.sqrt() * noise


@dataclass(frozen=True)
class Noise:
    """Standard normal noise as a pure function of (seed, step, place in time).

    The same seed gives the same values for any chunking, batch size and order of windows on one
    kind of device. All items (the channels of one recording) share it, so that a stereo image
    does not wander.

    Attributes:
        seed: any integer.
        channels: representation channels, ch.
        rows: rows F.

    Example:
        >>> from a2sb_core.interfaces import Noise
        >>> noise = Noise(seed=1, channels=3, rows=8)
        >>> whole, part = noise.at(2, 0, 100), noise.at(2, 40, 60)
        >>> bool((whole[..., 40:60] == part).all())
        True
    """

    seed: int
    channels: int
    rows: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    BLOCK = 32  # frames that are drawn together; part of the definition of the values

    def at(self, step: int, start: int, stop: int) -> Tensor:
        """Return the values of frames ``start`` (at least 0) to ``stop``, (ch, F, stop - start)."""
        first, last = start // self.BLOCK, -(-stop // self.BLOCK)
        blocks = [self._block(step, k) for k in range(first, max(last, first + 1))]
        offset = first * self.BLOCK
        return torch.cat(blocks, dim=-1)[..., start - offset : stop - offset]

    def _block(self, step: int, block: int) -> Tensor:
        generator = torch.Generator(self.device)
        generator.manual_seed(_mix(_mix(_mix(self.seed) ^ step) ^ block))
        shape = (self.channels, self.rows, self.BLOCK)
        return torch.randn(shape, generator=generator, device=self.device)


def _mix(value: int) -> int:
    """Scramble an integer into 63 bits (the finalizer of splitmix64; Steele et al. 2014)."""
    z = (value + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return (z ^ (z >> 31)) >> 1
