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
from a2sb_core.engine.changes import DECODED_FRAMES, Changes
from a2sb_core.engine.devices import choose_autocast
from a2sb_core.engine.memory import Halving
from a2sb_core.engine.model import Model
from a2sb_core.engine.pieces import Buffer, encode_piece, reach_of, samples_for
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

    def ranges(self, representation: Representation) -> Ranges:
        """Return the frames that the sampler works on; the last may be endless."""
        return needed_ranges(self.sampler, self.stretches, representation)

    def frames(self, representation: Representation) -> int | None:
        """Return the frames of the whole recording; None: nobody knows."""
        if self.samples is None:
            return None
        own = representation.sample_rate
        return representation.frames(resampled_length(self.samples, self.sample_rate, own))

    def frames_to_sample(self, representation: Representation) -> int | None:
        """Return how many of the frames the sampler works on."""
        frames = self.frames(representation)
        return None if frames is None else _count(self.ranges(representation), frames)


class Restoration:
    """One recording on its way through a model.

    Args:
        model: in evaluation mode, on its device.
        plan: what to do.
        precision: of the network, as :func:`choose_autocast` takes it.
        progress: called with (done, of), in frames; ``of`` is 0 for a recording of unknown length.
        skip: samples of the result that are there already. They are left out, with little work;
            what follows is the same to the bit (on the same device).
    """

    def __init__(
        self, model: Model, plan: Plan, precision: str, progress: Progress | None = None,
        skip: int = 0,
    ) -> None:
        self.model, self.plan, self.precision = model, plan, precision
        self.representation, self.progress = model.representation, progress
        self.device = next(model.backbone.parameters()).device
        self.noise = Noise(
            plan.seed, self.representation.channels, self.representation.rows, self.device
        )
        self.is_open = False
        self.taken = 0  # samples of the input
        self.encoded = 0  # frames
        self.given = skip  # samples of the result

    def _open(self, channels: int) -> None:
        plan, representation = self.plan, self.representation
        own = representation.sample_rate
        self.channels, self.is_open = channels, True
        first, start = self._beginning(channels)
        ranges = plan.ranges(representation)
        if start:
            ranges = _joined(plan.sampler.needed(()), _overlaps(ranges, start, ENDLESS))
        self.ranges = ranges
        self.counter = _Counter(ranges, plan.frames(representation), self.progress)
        self.sampling = plan.sampler.stream(
            Halving(self.model.denoiser()), self.model.bridge, self.noise, self.counter.add
        )
        self.changes = Changes(representation, ranges, self._read, first)
        self.work, self.base, self.change = Buffer(), Buffer(), Buffer()
        self.to_work = StreamResampler(plan.sample_rate, own, channels)
        self.to_output = StreamResampler(plan.sample_rate, plan.output_rate, channels)
        self.back = StreamResampler(own, plan.output_rate, channels)
        for _ in range(first // DECODED_FRAMES):
            empty = torch.zeros(channels, DECODED_FRAMES * representation.stride)
            self.change.append(_through(self.back, empty))
            self.change.drop(self.given)

    def _beginning(self, channels: int) -> tuple[int, int]:
        """Return the frames from which is decoded, and encoded, for what is not given yet."""
        own, representation = self.representation.sample_rate, self.representation
        frame = self.given * own // self.plan.output_rate // representation.stride
        # One part more than is wanted: a resampler remembers what came before.
        first = max(0, frame // DECODED_FRAMES - 1) * DECODED_FRAMES
        exact = first - reach_of(representation) - representation.refine_context
        start = self.plan.sampler.warm_up(max(0, exact), channels, ENCODED_FRAMES)
        return first, start

    def push(self, block: Tensor) -> Tensor:
        """Take the next samples (C, n); return restored ones that are ready, (C, any number)."""
        if not self.is_open:
            self._open(len(block))
        rate = self.plan.sample_rate
        block = blank(block, self.plan.stretches, rate, self.taken)
        check_finite(block, "the audio", sample_rate=rate, start_s=self.taken / rate)
        self.taken += block.shape[-1]
        self.base.append(_through(self.to_output, block.clone()))  # its sender may use it again
        self.work.append(_through(self.to_work, block) * self.plan.gain)
        with torch.no_grad():
            self._advance()
        return self._ready()

    def finish(self) -> Tensor:
        """Return the rest, (C, any number); all together have ``resampled_length`` samples."""
        for resampler, buffer, gain in (
            (self.to_output, self.base, 1.0), (self.to_work, self.work, self.plan.gain),
        ):
            if resampler.from_rate != resampler.to_rate:
                buffer.append(torch.from_numpy(resampler.finish()) * gain)
        with torch.no_grad():
            self._advance(length=self.work.end)
        if self.back.from_rate != self.back.to_rate:
            self.change.append(torch.from_numpy(self.back.finish()))
        self.counter.finish()
        return self._ready(is_last=True)

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
        before = reach_of(self.representation)
        return max(0, min(self.encoded - before, self.changes.oldest) - before)

    def _ready(self, is_last: bool = False) -> Tensor:
        """Splice what is there of both, the input and its change."""
        end = min(self.base.end, self.change.end)
        if is_last:
            end = self.base.end
            if self.change.end < end:
                self.change.append(torch.zeros(self.channels, end - self.change.end))
        first = self.given
        for buffer in (self.base, self.change):
            buffer.drop(first)
        if end <= first:
            return torch.zeros(self.channels, 0)
        self.given = end
        base, change = self.base.read(first, end), self.change.read(first, end)
        plan = self.plan
        restored = spliced(base, change, plan.stretches, plan.output_rate, first)
        return plan.corruption.reconcile(restored, base, plan.parameters)


class _Counter:
    """Tells progress in frames."""

    def __init__(self, ranges: Ranges, frames: int | None, progress: Progress | None) -> None:
        self.progress, self.done = progress, 0.0
        self.of = 0 if frames is None else _count(ranges, frames)

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


def _count(ranges: Ranges, frames: int) -> int:
    return sum(b - a for a, b in _overlaps(ranges, 0, frames))


def _overlaps(ranges: Ranges, first: int, stop: int) -> Ranges:
    cut = ((max(a, first), min(b, stop)) for a, b in ranges)
    return tuple((a, b) for a, b in cut if a < b)


def _joined(ranges: Ranges, more: Ranges) -> Ranges:
    """Join ranges, of which ``more`` begin no earlier."""
    joined = list(ranges)
    for first, stop in more:
        if first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((first, stop))
    return tuple(joined)


def _through(resampler: StreamResampler, block: Tensor) -> Tensor:
    """Resample a block; where the rates are equal it keeps its type and values."""
    if resampler.from_rate == resampler.to_rate:
        return block
    return torch.from_numpy(resampler.push(block))
