"""Pieces of a long recording, encoded and decoded with the values of the whole recording."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from a2sb_core.interfaces import Representation

Read = Callable[[int, int], Tensor]
"""Returns samples ``start`` to ``stop`` of a recording, (B, n), or fewer if it ends before."""

ENCODED_FRAMES = 128  # encoded at once; this partition is fixed, whatever the blocks are


class Buffer:
    """Samples (C, n) of a recording from ``start`` on; a queue with access to any sample in it."""

    def __init__(self, start: int = 0) -> None:
        self.start = self.end = start
        self._blocks: list[Tensor] = []

    def append(self, block: Tensor) -> None:
        """Append samples (C, n)."""
        if block.shape[-1]:
            self._blocks.append(block)
            self.end += block.shape[-1]

    def read(self, start: int, stop: int) -> Tensor:
        """Return samples ``start`` to ``stop``, or to the end of the buffer if that is earlier."""
        if not self.start <= start < min(stop, self.end):
            raise IndexError(f"{start} to {stop} is not in {self.start} to {self.end}")
        parts, place = [], self.start
        for block in self._blocks:
            low, high = max(start - place, 0), min(stop - place, block.shape[-1])
            if low < high:
                parts.append(block[..., low:high])
            place += block.shape[-1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def drop(self, before: int) -> None:
        """Remove the samples before ``before``."""
        while self._blocks and self.start < before:
            count = min(before - self.start, self._blocks[0].shape[-1])
            self.start += count
            rest = self._blocks.pop(0)[..., count:]
            if rest.shape[-1]:
                self._blocks.insert(0, rest)


def reach_of(representation: Representation) -> int:
    """Return the number of frames on each side that share samples with the middle of a frame."""
    return -(-representation.context // representation.stride)


def samples_for(representation: Representation, stop: int) -> int:
    """Return the number of samples that the encoding of the frames before ``stop`` needs."""
    return (stop - 1) * representation.stride + representation.context + 1


def encode_piece(representation: Representation, read: Read, first: int, stop: int) -> Tensor:
    """Encode frames ``first`` to ``stop`` of a recording, (B, ch, F, stop - first)."""
    stride = representation.stride
    before = min(first, reach_of(representation))
    wave = read((first - before) * stride, samples_for(representation, stop))
    return representation.encode(wave)[..., before : before + stop - first]


def decode_piece(
    representation: Representation, z: Tensor, first: int, length: int | None, start: int, stop: int
) -> Tensor:
    """Decode samples ``start`` to ``stop`` from the frames from ``first`` on, (B, stop - start).

    Args:
        representation: representation of ``z``.
        z: frames (B, ch, F, W); samples within ``context`` of its ends are wrong unless the
            recording ends there.
        first: index of the first frame of ``z``.
        length: number of samples of the recording if ``z`` contains its last frame, else None.
        start: first sample.
        stop: sample after the last one.
    """
    offset = first * representation.stride
    own = (z.shape[-1] - 1) * representation.stride if length is None else length - offset
    return representation.decode(z, own)[..., start - offset : stop - offset]
