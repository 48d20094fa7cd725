"""Items: audio with its representation, before and after a corruption."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from a2sb_core.audio.stretches import Stretches, blank
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.state import State
from a2sb_core.interfaces.types import Grid, Noise


@dataclass(frozen=True)
class Item:
    """Audio and its representation, the input of a corruption.

    Attributes:
        wave: audio (B, T); each item is one audio channel. With a representation that encodes C
            channels together, it is (B C, T): C consecutive rows are the channels of an item.
        z: ``representation.encode(wave)``, (B, ch, F, W).
        representation: the representation that encoded ``z``.
        start: index of the first frame, for a piece of a longer recording.
        used: first frame of ``z`` whose result is used, and the frame after the last one; the
            others are context. None: all of them.
    """

    wave: Tensor
    z: Tensor
    representation: Representation
    start: int = 0
    used: tuple[int, int] | None = None

    @property
    def grid(self) -> Grid:
        """Frequencies and times of ``z``; the times start at the start of the recording."""
        first = self.representation.grid(1)
        spacing_s = self.representation.stride / self.representation.sample_rate
        number = torch.arange(self.start, self.start + self.z.shape[-1], dtype=torch.float64)
        return replace(first, times_s=first.times_s[0] + number * spacing_s)

    def without(self, missing: Tensor, lost: Stretches) -> Item:
        """Return the item with zeros in place of missing content and of lost stretches."""
        rate, first = self.representation.sample_rate, self.start * self.representation.stride
        wave = blank(self.wave, lost, rate, first)
        return replace(self, wave=wave, z=self.z.masked_fill(missing, 0))

    def draw(self, noise: Noise, step: int = 0) -> Tensor:
        """Return the noise of a step at the place of this item, (ch, F, W)."""
        return noise.at(step, self.start, self.start + self.z.shape[-1])


@dataclass(frozen=True)
class Degraded:
    """A degraded item, the end of the bridge from which sampling starts.

    Attributes:
        x1: degraded representation, (B, ch, F, W).
        missing: boolean tensor, broadcastable to (B, 1, F, W), True where content is to be
            restored; None if everything may change.
    """

    x1: Tensor
    missing: Tensor | None

    def state(self, xt: Tensor, t: Tensor | float) -> State:
        """Return the state of the bridge at x_t, with one time ``t`` for all items."""
        times = torch.as_tensor(t).to(xt).expand(len(xt))
        return State(xt, times, self.x1, self.missing)
