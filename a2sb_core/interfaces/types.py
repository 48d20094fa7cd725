"""Values that components exchange: Grid, Marks, Gaussian and Noise.

Letters for shapes: B items, C audio channels, T samples, ch representation channels,
F rows (frequencies), W frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Grid:
    """Frequencies and times of the values of a representation.

    Attributes:
        sample_rate: sample rate of the audio, in Hz.
        freqs_hz: frequency of each row in Hz, (F,), ascending.
        times_s: time of the middle of each frame in seconds from the start of the audio, (W,).
        frame_s: length of the audio from which a frame is computed, in seconds.
    """

    sample_rate: int
    freqs_hz: Tensor
    times_s: Tensor
    frame_s: float

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and frames, (F, W)."""
        return len(self.freqs_hz), len(self.times_s)


@dataclass(frozen=True)
class Marks:
    """Marks in a picture of a recording.

    Attributes:
        frequencies_hz: frequencies that are drawn as horizontal lines.
        stretches_s: stretches (start, end) in seconds, whose edges are drawn.
    """

    frequencies_hz: tuple[float, ...] = ()
    stretches_s: tuple[tuple[float, float], ...] = ()


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
    kind of device. The items (the channels of one recording) share it, so that a stereo image stays
    in place, or have noise of a given correlation, so that it stays as wide as it is.

    Attributes:
        seed: any integer.
        channels: number of representation channels, ch.
        rows: number of rows, F.
        device: device on which the values are drawn.
        coherence: correlation of the noise of each item with that of the first one, by row, in
            [0, 1], (B, F); None: all items share the noise.

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
    coherence: Tensor | None = None

    BLOCK = 32  # number of frames that are drawn together; the values depend on it

    def at(self, step: int, start: int, stop: int) -> Tensor:
        """Return the values of frames ``start`` to ``stop``; frames before 0 have values, too.

        Returns:
            Values (ch, F, stop - start), or (B, ch, F, stop - start) if there is a coherence.
        """
        shared = self._drawn(step, start, stop)
        if self.coherence is None:
            return shared
        items = []
        for item, coherence in enumerate(self.coherence.to(shared)[:, :, None]):
            is_shared = item == 0 or bool((coherence == 1).all())
            own = shared if is_shared else self._drawn(step, start, stop, item)
            mixed = coherence * shared + (1 - coherence.square()).sqrt() * own
            items.append(shared if is_shared else mixed)
        return torch.stack(items)

    def _drawn(self, step: int, start: int, stop: int, item: int = 0) -> Tensor:
        first, last = start // self.BLOCK, -(-stop // self.BLOCK)
        blocks = [self._block(step, k, item) for k in range(first, max(last, first + 1))]
        offset = first * self.BLOCK
        return torch.cat(blocks, dim=-1)[..., start - offset : stop - offset]

    def _block(self, step: int, block: int, item: int) -> Tensor:
        generator = torch.Generator(self.device)
        generator.manual_seed(_mix(_mix(_mix(self.seed) ^ step) ^ block ^ item << 48))
        shape = (self.channels, self.rows, self.BLOCK)
        return torch.randn(shape, generator=generator, device=self.device)


def _mix(value: int) -> int:
    """Scramble an integer into 63 bits (the finalizer of splitmix64; Steele et al. 2014)."""
    z = (value + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return (z ^ (z >> 31)) >> 1
