"""Restoring a recording as it comes: blocks of audio in, restored blocks out.

    block -> gaps blanked -+-> output rate -------------------------------------> splice -> block
                           +-> model rate -> encode -> sampler -> decode -> change -^

Only frames that the sampler needs are encoded, and only stretches that change are decoded; what is
held is what lies between the newest sample read and the oldest one not yet restored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.resample import StreamResampler, resampled_length
from a2sb_core.engine.devices import choose_autocast
from a2sb_core.engine.model import Model
from a2sb_core.engine.pieces import Buffer, decode_piece, encode_piece, samples_for
from a2sb_core.engine.splice import blank, spliced
from a2sb_core.interfaces import (
    ENDLESS,
    Corruption,
    Frames,
    Item,
    Noise,
    Ranges,
    Representation,
    Sampler,
)
from a2sb_core.interfaces.corruption import Stretches

ENCODED_FRAMES = 128  # at once; a fixed partition, so that no result depends on the blocks
DECODED_FRAMES = 512

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is to be done to a recording.

    Attributes:
        corruption: the kind of damage.
        parameters: the damage.
        sample_rate: of the recording, Hz.
        output_rate: of the result, Hz.
        gain: factor that brings the recording to the level the model knows.
        sampler: with the steps wanted.
        seed: of the noise.
        samples: length of the recording, where it is known.
    """

    corruption: Corruption
    parameters: Any
    sample_rate: int
    output_rate: int
    gain: float
    sampler: Sampler
    seed: int = 0
    samples: int | None = None

    @property
    def stretches(self) -> Stretches | None:
        """The damaged stretches of time, in seconds; None: anywhere."""
        return self.corruption.stretches(self.parameters)


class Restoration:
    """One recording on its way through a model.

    Args:
        model: in evaluation mode, on its device.
        plan: what to do.
        precision: of the network, as :func:`choose_autocast` takes it.
        progress: called with (done, of), in frames; ``of`` is 0 for a recording of unknown length.
    """

    def __init__(
        self, model: Model, plan: Plan, precision: str, progress: Progress | None = None
    ) -> None:
        self.model, self.plan, self.precision = model, plan, precision
        representation = self.representation = model.representation
        self.device = next(model.backbone.parameters()).device
        self.ranges = needed_ranges(plan.sampler, plan.stretches, representation)
        self.noise = Noise(plan.seed, representation.channels, representation.rows, self.device)
        self.counter = _Counter(self.ranges, self._frames_in_all(), progress)
        self.sampling = plan.sampler.stream(
            model.denoiser(), model.bridge, self.noise, self.counter.add
        )
        self.changes = _Changes(representation, self.ranges, self._read)
        self.work, self.base, self.change = Buffer(), Buffer(), Buffer()
        self.to_work: StreamResampler | None = None
        self.to_output: StreamResampler | None = None
        self.back: StreamResampler | None = None
        self.taken = 0  # samples of the input
        self.encoded = 0  # frames

    def push(self, block: Tensor) -> Tensor:
        """Take the next samples (C, n); return restored ones that are ready, (C, any number)."""
        if self.to_work is None:
            self._open(len(block))
        rate = self.plan.sample_rate
        block = blank(block, self.plan.stretches, rate, self.taken)
        check_finite(block, "the audio", sample_rate=rate, start_s=self.taken / rate)
        self.taken += block.shape[-1]
        self.base.append(_through(self.to_output, block))
        self.work.append(_through(self.to_work, block) * self.plan.gain)
        with torch.no_grad():
            self._advance()
        return self._ready()

    def finish(self) -> Tensor:
        """Return the rest, (C, any number); all together have ``resampled_length`` samples."""
        for resampler, buffer, gain in (
            (self.to_output, self.base, 1.0), (self.to_work, self.work, self.plan.gain),
        ):
            assert resampler is not None
            if resampler.from_rate != resampler.to_rate:
                buffer.append(torch.from_numpy(resampler.finish()) * gain)
        with torch.no_grad():
            self._advance(length=self.work.end)
        assert self.back is not None
        if self.back.from_rate != self.back.to_rate:
            self.change.append(torch.from_numpy(self.back.finish()))
        self.counter.finish()
        return self._ready(is_last=True)

    def _open(self, channels: int) -> None:
        own, plan = self.representation.sample_rate, self.plan
        self.to_work = StreamResampler(plan.sample_rate, own, channels)
        self.to_output = StreamResampler(plan.sample_rate, plan.output_rate, channels)
        self.back = StreamResampler(own, plan.output_rate, channels)

    def _frames_in_all(self) -> int | None:
        if self.plan.samples is None:
            return None
        own = self.representation.sample_rate
        return self.representation.frames(
            resampled_length(self.plan.samples, self.plan.sample_rate, own)
        )

    def _read(self, start: int, stop: int) -> Tensor:
        return self.work.read(start, stop).float().to(self.device)

    def _advance(self, length: int | None = None) -> None:
        """Encode, sample and decode what has become possible; ``length``: all samples are there."""
        for first, stop in self._encodable(length):
            self._sample(first, stop)
        total = None if length is None else self.representation.frames(length)
        if total is not None:
            with choose_autocast(self.device, self.precision):
                self.changes.take(self.sampling.finish(total))
            self.changes.is_complete = True
        for change in self.changes.ready(self.work.end, length):
            self.change.append(_through(self.back, change.cpu() / self.plan.gain))
        self.work.drop(self._oldest() * self.representation.stride)

    def _encodable(self, length: int | None) -> Iterator[tuple[int, int]]:
        """Yield ranges of frames to encode, in parts that do not depend on the blocks."""
        total = ENDLESS if length is None else self.representation.frames(length)
        while self.encoded < total:
            stop = min(total, (self.encoded // ENCODED_FRAMES + 1) * ENCODED_FRAMES)
            if length is None and samples_for(self.representation, stop) > self.work.end:
                return
            yield from _overlaps(self.ranges, self.encoded, stop)
            self.encoded = stop

    def _sample(self, first: int, stop: int) -> None:
        """Encode frames, look at what is missing in them, and give them to the sampler."""
        z = encode_piece(self.representation, self._read, first, stop)
        stride = self.representation.stride
        start = min(first * stride, self.work.end - 1)
        wave = self._read(start, max(start + 1, stop * stride))
        item = Item(wave, z, self.representation, first)
        degraded = self.plan.corruption.observe(item, self.plan.parameters, self.noise)
        missing = degraded.missing
        if missing is not None:
            missing = missing.expand(len(z), 1, *z.shape[2:])
        with choose_autocast(self.device, self.precision):
            self.changes.take(self.sampling.push(Frames(first, degraded.x1, missing)))

    def _oldest(self) -> int:
        """First frame whose samples may still be asked for."""
        before = -(-self.representation.context // self.representation.stride)
        return max(0, min(self.encoded - before, self.changes.oldest) - before)

    def _ready(self, is_last: bool = False) -> Tensor:
        """Splice what is there of both, the input and its change."""
        assert self.back is not None
        channels = self.back.channels
        count = min(self.base.end, self.change.end) - self.base.start
        if is_last:
            count = self.base.end - self.base.start
            short = self.base.end - self.change.end
            if short > 0:
                self.change.append(torch.zeros(channels, short))
        if count <= 0:
            return torch.zeros(channels, 0)
        first = self.base.start
        base, change = self.base.take(count), self.change.take(count)
        return spliced(base, change, self.plan.stretches, self.plan.output_rate, first)


class _Changes:
    """Turns restored frames into the change of the audio, at the model's rate."""

    def __init__(
        self, representation: Representation, ranges: Ranges, read: Callable[[int, int], Tensor]
    ) -> None:
        self.representation, self.ranges, self.read = representation, ranges, read
        self.reach = -(-representation.context // representation.stride)
        self.context = self.reach + representation.refine_context
        self.pieces: list[Frames] = []
        self.restored = self.decoded = 0  # frames
        self.is_complete = False

    @property
    def oldest(self) -> int:
        """First frame that is still to be encoded again."""
        return max(0, self.decoded - self.context)

    def take(self, pieces: list[Frames]) -> None:
        """Add restored frames, in order."""
        for piece in pieces:
            self.restored = piece.start + piece.x.shape[-1]
            if piece.missing is None or bool(piece.missing.any()):
                self.pieces.append(piece)

    def ready(self, samples: int, length: int | None) -> Iterator[Tensor]:
        """Yield changes (C, n) that follow one another, as far as frames and samples are there."""
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
            self.pieces = [
                p for p in self.pieces if p.start + p.x.shape[-1] > stop - self.context
            ]

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
        """Return the first missing frame and the one after the last within a range."""
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
        """Put restored frames into ``z``, made valid and consistent."""
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
        x0 = representation.project(x0)
        if everywhere:
            return representation.refine(x0, None, own)
        return representation.refine(torch.where(missing, x0, z), missing, own)


class _Counter:
    """Tells progress in frames."""

    def __init__(self, ranges: Ranges, frames: int | None, progress: Progress | None) -> None:
        self.progress, self.done = progress, 0.0
        self.of = 0 if frames is None else sum(b - a for a, b in _overlaps(ranges, 0, frames))

    def add(self, frames: float) -> None:
        """Count frames; one of S steps counts as 1/S."""
        self.done += frames
        if self.progress is not None:
            done = math.floor(self.done + 1e-6)
            self.progress(min(done, self.of - 1) if self.of else done, self.of)

    def finish(self) -> None:
        """All is done."""
        if self.progress is not None:
            self.progress(self.of or math.floor(self.done + 1e-6), self.of)


def needed_ranges(
    sampler: Sampler, stretches: Stretches | None, representation: Representation
) -> Ranges:
    """Return the frames that must be encoded to restore the damaged stretches."""
    if stretches is None:
        return ((0, ENDLESS),)
    grid, rate = representation.grid(1), representation.sample_rate
    reach_s = grid.frame_s + representation.stride / rate
    missing = tuple(
        (
            max(0, math.floor((start - reach_s) * rate / representation.stride)),
            math.ceil((end + reach_s) * rate / representation.stride) + 1,
        )
        for start, end in stretches
    )
    return sampler.needed(missing)


def _overlaps(ranges: Ranges, first: int, stop: int) -> list[tuple[int, int]]:
    cut = [(max(a, first), min(b, stop)) for a, b in ranges]
    return [(a, b) for a, b in cut if a < b]


def _complete_until(restored: int, ranges: Ranges) -> int:
    """Return up to where nothing more is to come, after frames up to ``restored`` have."""
    for first, stop in ranges:
        if restored < stop:
            return max(restored, first)
    return ENDLESS


def _through(resampler: StreamResampler | None, block: Tensor) -> Tensor:
    """Resample a block; where the rates are equal it keeps its type and values."""
    assert resampler is not None
    if resampler.from_rate == resampler.to_rate:
        return block
    return torch.from_numpy(resampler.push(block))
