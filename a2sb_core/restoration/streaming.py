"""Restoration of a stream: blocks of audio in, restored blocks out.

    block -> gaps blanked -+-> output rate -------------------------------------> splice -> block
                           +-> model rate -> encode -> sampler -> decode -> change -^

Only the frames that the sampler needs are encoded, and only the stretches that change are decoded.
Memory holds the samples between the oldest one that is not yet restored and the newest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.resampling import StreamResampler
from a2sb_core.audio.stretches import blank
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.interfaces import ENDLESS, BlockPair, Frames, Item, Noise, Ranges
from a2sb_core.models.model import Model
from a2sb_core.restoration.changes import DECODED_FRAMES, Changes
from a2sb_core.restoration.digital_silence import LONGEST_DIP, SilenceFiller
from a2sb_core.restoration.guidance import plan_denoiser, windows_together
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.memory import Halving
from a2sb_core.restoration.pieces import ENCODED_FRAMES, Buffer, encode_piece, reach_of, samples_for
from a2sb_core.restoration.plan import Plan, count_frames, overlaps
from a2sb_core.restoration.splicing import spliced

READY_S = 1.0  # most seconds of the result in a block


class RestorationStream:
    """Restores one recording with a model, block by block.

    Args:
        model: the model in evaluation mode, on its device.
        plan: plan of the restoration.
        precision: precision of the network, see :func:`choose_autocast`.
        listener: receives the progress in frames, and the sampled representation.
        skip: number of samples of the result that are left out, with little work. The samples that
            follow are the same bit for bit (on the same device).
    """

    def __init__(
        self,
        model: Model,
        plan: Plan,
        precision: str,
        listener: Listener | None = None,
        skip: int = 0,
    ) -> None:
        self.model, self.plan, self.precision = model, plan, precision
        self.representation, self.listener = model.representation, listener or Listener()
        self.device = next(model.backbone.parameters()).device
        freqs_hz, coherence = self.representation.grid(1).freqs_hz, plan.coherence
        self.noise = Noise(
            plan.seed,
            self.representation.channels,
            self.representation.rows,
            self.device,
            None if coherence is None else coherence.at(freqs_hz).float(),
        )
        self.gains = plan.gains[:, None]
        self.halo = plan.damage.corruption.halo(self.representation)
        self.is_open = False
        self.taken = 0  # samples of the input
        self.encoded = 0  # frames
        self.given = skip  # samples of the result

    def _open(self, channels: int) -> None:
        plan, representation = self.plan, self.representation
        own = representation.sample_rate
        self.channels, self.is_open = channels, True
        first, start = self._beginning(channels)
        self.filler = None
        if plan.stretches is None:
            least = min(LONGEST_DIP, representation.context)
            self.filler = SilenceFiller(channels, least, first * representation.stride)
        ranges = plan.ranges(representation)
        if start:
            ranges = _joined(plan.sampler.needed(()), overlaps(ranges, start, ENDLESS))
        self.ranges = ranges
        self.counter = _Counter(ranges, plan.frames(representation), self.listener)
        self.sampling = plan.sampler.stream(
            Halving(
                plan_denoiser(self.model, plan),
                plan.sampler.batch,
                windows_together(self.model, plan),
            ),
            self.model.bridge,
            self.noise,
            self.counter.add,
        )
        self.changes = Changes(representation, ranges, self._read, self.listener.on_sampled, first)
        self.work, self.base, self.change = Buffer(), Buffer(), Buffer()
        self.to_work = StreamResampler(plan.sample_rate, own, channels)
        self.to_output = StreamResampler(plan.sample_rate, plan.output_rate, channels)
        self.back = StreamResampler(own, plan.output_rate, channels)
        for _ in range(first // DECODED_FRAMES):
            empty = torch.zeros(channels, DECODED_FRAMES * representation.stride)
            self.change.append(_through(self.back, empty))
            self.change.drop(self.given)

    def _beginning(self, channels: int) -> tuple[int, int]:
        """Return the first frame to decode and the first frame to encode after ``skip``."""
        own, representation = self.representation.sample_rate, self.representation
        frame = self.given * own // self.plan.output_rate // representation.stride
        # One part more than necessary, because the state of a resampler depends on earlier samples.
        first = max(0, frame // DECODED_FRAMES - 1) * DECODED_FRAMES
        exact = first - reach_of(representation) - representation.refine_context
        items = channels // representation.audio_channels
        start = self.plan.sampler.warm_up(max(0, exact), items, ENCODED_FRAMES)
        return first, start

    def push(self, block: Tensor) -> Iterator[BlockPair]:
        """Add the next samples (C, n); return those that are ready, in blocks of limited length."""
        if not self.is_open:
            self._open(len(block))
        rate = self.plan.sample_rate
        block = blank(block, self.plan.damage.lost, rate, self.taken)
        check_finite(block, "the audio", sample_rate=rate, start_s=self.taken / rate)
        self.taken += block.shape[-1]
        self.base.append(_through(self.to_output, block.clone()))  # the caller may reuse the block
        self.work.append(self._levelled(_through(self.to_work, block)))
        with torch.no_grad():
            self._advance()
        return self._ready()

    def finish(self) -> Iterator[BlockPair]:
        """Return the remaining samples; the total is ``resampled_length`` samples."""
        if self.to_output.from_rate != self.to_output.to_rate:
            self.base.append(torch.from_numpy(self.to_output.finish()))
        if self.to_work.from_rate != self.to_work.to_rate:
            self.work.append(self._levelled(torch.from_numpy(self.to_work.finish())))
        with torch.no_grad():
            self._advance(length=self.work.end)
        if self.back.from_rate != self.back.to_rate:
            self.change.append(torch.from_numpy(self.back.finish()))
        self.counter.finish()
        return self._ready(is_last=True)

    def _levelled(self, block: Tensor) -> Tensor:
        """Bring samples to the level of the model, and fill digital silence."""
        block = block * self.gains.to(block)
        return block if self.filler is None else self.filler.push(block)

    def _change(self, change: Tensor) -> Tensor:
        """Bring a change at the level of the model back to that of the recording."""
        change = change.cpu()
        if self.filler is not None:
            change = self.filler.muted(change)
        gains = self.gains.to(change)
        return torch.where(gains != 0, change / gains, 0)

    def _read(self, start: int, stop: int) -> Tensor:
        return self.work.read(start, stop).float().to(self.device)

    def _advance(self, length: int | None = None) -> None:
        """Encode, sample and decode as far as possible; ``length`` is known at the end."""
        for first, stop in self._parts(length):
            needed = overlaps(self.ranges, first, stop)
            for part in needed:
                self._sample(*part, length)
            if not needed:
                with choose_autocast(self.device, self.precision):
                    self.changes.take(self.sampling.skip(stop))
        total = None if length is None else self.representation.frames(length)
        if total is not None:
            with choose_autocast(self.device, self.precision):
                self.changes.take(self.sampling.finish(total))
            self.changes.is_complete = True
        for change in self.changes.ready(self.work.end, length):
            self.change.append(_through(self.back, self._change(change)))
        self.work.drop(self._oldest() * self.representation.stride)

    def _parts(self, length: int | None) -> Iterator[tuple[int, int]]:
        """Yield ranges of frames whose samples are there; they do not depend on the blocks."""
        total = ENDLESS if length is None else self.representation.frames(length)
        while self.encoded < total:
            stop = min(total, (self.encoded // ENCODED_FRAMES + 1) * ENCODED_FRAMES)
            last = stop + self.halo
            if length is None and samples_for(self.representation, last) > self.work.end:
                return
            yield self.encoded, stop
            self.encoded = stop

    def _sample(self, first: int, stop: int, length: int | None) -> None:
        """Encode frames, observe their missing content, and pass them to the sampler."""
        item, damage = self._item(first, stop, length), self.plan.damage
        degraded = damage.corruption.observe(item, damage.parameters, self.noise)
        used = slice(first - item.start, stop - item.start)
        missing = degraded.missing
        if missing is not None:
            missing = missing.expand(len(item.z), 1, *item.z.shape[2:])[..., used]
        with choose_autocast(self.device, self.precision):
            self.changes.take(self.sampling.push(Frames(first, degraded.x1[..., used], missing)))

    def _item(self, first: int, stop: int, length: int | None) -> Item:
        """Return frames ``first`` to ``stop`` with the context that their observation needs."""
        low, high = max(0, first - self.halo), stop + self.halo
        if length is not None:
            high = min(high, self.representation.frames(length))
        z = encode_piece(self.representation, self._read, low, high)
        stride = self.representation.stride
        start = min(low * stride, self.work.end - 1)
        wave = self._read(start, max(start + 1, high * stride))
        return Item(wave, z, self.representation, low, used=(first - low, stop - low))

    def _oldest(self) -> int:
        """Return the first frame whose samples may still be read."""
        before = reach_of(self.representation)
        encoded = self.encoded - self.halo - before
        return max(0, min(encoded, self.changes.oldest) - before)

    def _ready(self, is_last: bool = False) -> Iterator[BlockPair]:
        """Splice the samples of which both the input and its change are available."""
        end = min(self.base.end, self.change.end)
        if is_last:
            end = self.base.end
            if self.change.end < end:
                self.change.append(torch.zeros(self.channels, end - self.change.end))
        plan = self.plan
        while self.given < end:
            first, stop = self.given, min(end, self.given + math.ceil(READY_S * plan.output_rate))
            for buffer in (self.base, self.change):
                buffer.drop(first)
            base, change = self.base.read(first, stop), self.change.read(first, stop)
            self.given = stop
            yield BlockPair(spliced(base, change, plan.stretches, plan.output_rate, first), base)


class _Counter:
    """Reports progress in frames."""

    def __init__(self, ranges: Ranges, frames: int | None, listener: Listener) -> None:
        self.listener, self.done = listener, 0.0
        self.of = 0 if frames is None else count_frames(ranges, frames)

    def add(self, frames: float) -> None:
        """Count frames; one of S steps counts as 1/S frame."""
        self.done += frames
        done = math.floor(self.done + 1e-6)
        self.listener.on_progress(min(done, self.of - 1) if self.of else done, self.of)

    def finish(self) -> None:
        """Report that all frames are done."""
        self.listener.on_progress(self.of or math.floor(self.done + 1e-6), self.of)


def _joined(ranges: Ranges, more: Ranges) -> Ranges:
    """Join ranges; those of ``more`` begin no earlier."""
    joined = list(ranges)
    for first, stop in more:
        if first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((first, stop))
    return tuple(joined)


def _through(resampler: StreamResampler, block: Tensor) -> Tensor:
    """Resample a block; it is unchanged if the rates are equal."""
    if resampler.from_rate == resampler.to_rate:
        return block
    return torch.from_numpy(resampler.push(block))
