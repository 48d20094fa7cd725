"""Conversion of restored frames to the change of the audio, only where the audio changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from a2sb_core.interfaces import ENDLESS, Frames, Ranges, Representation
from a2sb_core.restoration.pieces import Read, decode_piece, encode_piece, reach_of, samples_for

DECODED_FRAMES = 512  # decoded at once; this partition is fixed, whatever the blocks are


class Changes:
    """Converts restored frames to the change of the audio, at the sample rate of the model.

    Args:
        representation: representation of the model.
        ranges: ranges of the frames that will be restored.
        read: function that reads the damaged audio, at the sample rate and level of the model.
        on_sampled: function that receives each stretch (B, ch, F, W) before it is projected and
            decoded.
        first: first frame, a multiple of ``DECODED_FRAMES``.
    """

    def __init__(
        self,
        representation: Representation,
        ranges: Ranges,
        read: Read,
        on_sampled: Callable[[Tensor], None],
        first: int = 0,
    ) -> None:
        self.representation, self.ranges, self.read = representation, ranges, read
        self.on_sampled = on_sampled
        self.reach = reach_of(representation)
        self.context = self.reach + representation.refine_context
        self.pieces: list[Frames] = []
        self.restored, self.decoded = 0, first  # frames
        self.is_complete = False

    @property
    def oldest(self) -> int:
        """First frame that will be encoded again."""
        return max(0, self.decoded - self.context)

    def take(self, pieces: list[Frames]) -> None:
        """Add restored frames, in order."""
        for piece in pieces:
            self.restored = piece.start + piece.x.shape[-1]
            if piece.missing is None or bool(piece.missing.any()):
                self.pieces.append(piece)

    def ready(self, samples: int, length: int | None) -> Iterator[Tensor]:
        """Yield consecutive changes (C, n), as far as frames and samples are available."""
        stride = self.representation.stride
        total = ENDLESS if length is None else self.representation.frames(length)
        while self.decoded < total:
            first = self.decoded
            stop = min(total, (first // DECODED_FRAMES + 1) * DECODED_FRAMES)
            until = min(stop + self.context, total)
            if not self.is_complete and (
                _complete_until(self.restored, self.ranges) < until
                or samples_for(self.representation, until) > samples
            ):
                return
            end = stop * stride if length is None or stop < total else length
            if end > first * stride:
                yield self._change(first, stop, end, length)
            self.decoded = stop
            self.pieces = [p for p in self.pieces if p.start + p.x.shape[-1] > stop - self.context]

    def _change(self, first: int, stop: int, end: int, length: int | None) -> Tensor:
        """Return the change of samples from frame ``first`` to sample ``end``."""
        stride, reach = self.representation.stride, self.reach
        touched = self._touched(first - reach, stop + reach)
        change = torch.zeros_like(self.read(first * stride, end))
        if touched is None:
            return change
        total = ENDLESS if length is None else self.representation.frames(length)
        low, high = max(first, touched[0] - reach), min(stop, touched[1] + reach)
        start = max(0, low - self.context)
        last = min(high + self.context, total)
        z = encode_piece(self.representation, self.read, start, last)
        samples_stop = end if high == stop else high * stride
        known = length if last == total else None
        after, before = (
            decode_piece(self.representation, x, start, known, low * stride, samples_stop)
            for x in (self._restored(z, start, known), z)
        )
        offset = (low - first) * stride
        change[:, offset : offset + after.shape[-1]] = after - before
        return change

    def _touched(self, first: int, stop: int) -> tuple[int, int] | None:
        """Return the first missing frame of a range, and the frame after the last one."""
        low, high = ENDLESS, -1
        for piece in self.pieces:
            a, b = max(first, piece.start), min(stop, piece.start + piece.x.shape[-1])
            if a >= b:
                continue
            if piece.missing is None:
                low, high = min(low, a), max(high, b)
                continue
            part = piece.missing[..., a - piece.start : b - piece.start]
            found = part.flatten(0, 2).any(dim=0).nonzero()
            if len(found):
                low, high = min(low, a + int(found[0])), max(high, a + int(found[-1]) + 1)
        return None if high < 0 else (low, high)

    def _restored(self, z: Tensor, first: int, length: int | None) -> Tensor:
        """Return ``z`` with the restored frames, projected and refined."""
        x0, missing = z.clone(), torch.zeros_like(z[:, :1], dtype=torch.bool)
        everywhere = False
        for piece in self.pieces:
            a = max(first, piece.start)
            b = min(first + z.shape[-1], piece.start + piece.x.shape[-1])
            if a >= b:
                continue
            x = piece.x[..., a - piece.start : b - piece.start].float().to(z.device)
            x0[..., a - first : b - first] = x
            if piece.missing is None:
                everywhere = True
            else:
                region = piece.missing[..., a - piece.start : b - piece.start].to(z.device)
                missing[..., a - first : b - first] = region
        representation = self.representation
        own = (z.shape[-1] - 1) * representation.stride
        own = own if length is None else length - first * representation.stride
        self.on_sampled(x0)
        x0 = representation.project(x0)
        if everywhere:
            return representation.refine(x0, None, own)
        return representation.refine(torch.where(missing, x0, z), missing, own)


def _complete_until(restored: int, ranges: Ranges) -> int:
    """Return the end of the complete frames, once all frames before ``restored`` are restored."""
    for first, stop in ranges:
        if restored < stop:
            return max(restored, first)
    return ENDLESS
