"""Preparation of a restoration: a scan for the damage and the loudness, and a plan."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from a2sb_core.audio.choices import Stereo
from a2sb_core.audio.resampling import resampled_length
from a2sb_core.devices.choice import is_compiled
from a2sb_core.errors import AudioError, ModelError
from a2sb_core.interfaces import BlockPair, Recording, WindowSampler, as_numpy, as_wave
from a2sb_core.interfaces.recording import block_samples, resampled_blocks
from a2sb_core.models.model import Model
from a2sb_core.restoration.consistency import check_missing
from a2sb_core.restoration.damage import Damage, inspect
from a2sb_core.restoration.guidance import corruption_for
from a2sb_core.restoration.levels import MeasuredBlocks
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.memory import Memory
from a2sb_core.restoration.mixing import KeptInput
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.plan import LOOKAHEAD_S, RESAMPLERS_S, Plan
from a2sb_core.restoration.progress import WholeProgress
from a2sb_core.restoration.stereo import check_stereo, check_together, form, restore_form
from a2sb_core.restoration.streaming import RestorationStream
from a2sb_core.restoration.windows import as_window_sampler

Wave = TypeVar("Wave", Tensor, np.ndarray)

Samples = Tensor | np.ndarray
"""Audio (C, T) or (T,), floating-point, full scale 1."""


@dataclass(frozen=True)
class Restoration:
    """A restoration that is ready to run.

    Attributes:
        model: the model.
        precision: precision of the network.
        recording: the damaged audio.
        output_rate: sample rate of the result, in Hz.
        plan: plan of the restoration; None if there is no damage, and the audio is unchanged.
        options: options of the restoration.
        earlier: the finished restorations whose result this one restores, in a chain.
        notes: sentences for people about the reasons why there is no damage.
    """

    model: Model
    precision: str
    recording: Recording
    output_rate: int
    plan: Plan | None
    options: RestoreOptions
    earlier: tuple[Restoration, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def damage(self) -> Damage | None:
        """The damage that is restored; None if there is none."""
        return None if self.plan is None else self.plan.damage

    @property
    def is_unchanged(self) -> bool:
        """Whether the result is the recording itself."""
        is_own = self.plan is None and self.recording.sample_rate == self.output_rate
        return is_own and all(one.is_unchanged for one in self.earlier)

    @property
    def latency_s(self) -> float:
        """Most seconds of input that are read beyond the end of the result, for a live source.

        They are added to the duration of a block of the source and to the time of the work. They
        are infinite for a sampler without windows, which needs the whole recording. The steps of a
        chain add up.
        """
        representation = self.model.representation
        own = 0.0
        if self.plan is not None:
            own = self.plan.latency_s(representation)
        elif self.recording.sample_rate != self.output_rate:
            own = RESAMPLERS_S
        return own + sum(one.latency_s for one in self.earlier)

    def tell(self, listener: Listener) -> None:
        """Tell a listener the damage, or why there is none."""
        listener.on_damage(self.damage)
        for note in self.notes:
            listener.on_note(note)

    def run(self, skip: int = 0, listener: Listener | None = None) -> Iterator[Tensor]:
        """Yield restored blocks (C, n), without the first ``skip`` samples.

        Raises:
            ModelError: the model returned values that are not finite.
        """
        for block in self._blocks(skip, listener or Listener()):
            yield restore_form(block, self.options.stereo, block.dtype)

    def _blocks(self, skip: int, listener: Listener) -> Iterator[Tensor]:
        """Yield the blocks of :meth:`run` as the channels that the model restores."""
        rates = self.recording.sample_rate, self.output_rate
        if self.plan is None:
            yield from _after(resampled_blocks(self.recording.blocks(), *rates), skip)
            return
        finisher, gain = self.plan.finisher, self.options.change_gain
        start = skip if finisher is None else finisher.needed_from(skip)
        kept = KeptInput(self.recording.source, *rates) if gain != 1 else None
        progress = WholeProgress(self.plan, listener, skip)
        pairs = self.pairs(start, progress, kept)
        if finisher is not None:
            pairs = finisher.finish(pairs, start)
        blocks = progress.watched(_finite(pair.restored for pair in pairs), start)
        if kept is not None:
            blocks = kept.mixed(blocks, gain, start)
        yield from _after(blocks, skip - start)

    def pairs(
        self,
        skip: int = 0,
        listener: Listener | None = None,
        source: Iterable[Tensor] | None = None,
    ) -> Iterator[BlockPair]:
        """Yield what the model restores, for a finisher, without the first ``skip`` samples."""
        assert self.plan is not None
        stream = RestorationStream(self.model, self.plan, self.precision, listener, skip)
        for block in source or self.recording.source:
            yield from stream.push(block)
        yield from stream.finish()

    def settings(self) -> dict[str, Any]:
        """Return everything that the result depends on besides the audio, for JSON."""
        plan = self.plan
        always: dict[str, Any] = {
            "model": _digest(self.model),
            "output_rate": self.output_rate,
            "stereo": self.options.stereo,
        }
        if self.model.runtime is not None:
            always["backend"] = self.model.runtime.name
        if self.earlier:
            always["earlier"] = [one.settings() for one in self.earlier]
        if plan is None:
            return {**always, "damage": None}
        return {
            **always,
            "damage": plan.damage.as_dict(),
            "amount": self.options.amount,
            "level_db": self.options.level_db,
            "level_dbfs": self.options.level_dbfs,
            "sampler": plan.sampler.config.model_dump(mode="json"),
            "seed": plan.seed,
            "precision": self.precision,
            "is_compiled": is_compiled(self.model.backbone),
            "device": str(next(self.model.backbone.parameters()).device),
        }


def prepare(
    memory: Memory, recording: Recording, options: RestoreOptions, lookahead_s: float | None = None
) -> Restoration:
    """Scan a recording once for its damage and its loudness, and plan the restoration.

    The model is that of ``memory``, into which the work is fitted. If a source can be iterated over
    only once, its first ``lookahead_s`` seconds are inspected. By default these are 30 s to find
    damage. If the damage is given, they are one window of the sampler, for which a restoration
    waits in any case, so that they add no latency.

    Raises:
        TaskError: the task is unknown, or the damage cannot be restored.
        AudioError: a sample outside of the damage is NaN or infinite.
        ModelError: the memory is not enough.
    """
    model, precision = memory.model, memory.precision
    corruption = corruption_for(model, options.task)
    steps = model.steps_for(options.task) if options.steps is None else options.steps
    sampler = as_window_sampler(model.sampler if steps is None else model.sampler.with_steps(steps))
    if lookahead_s is None:
        lookahead_s = _window_s(sampler, model) if options.damage else LOOKAHEAD_S
    recording, seen = _opened(recording, lookahead_s)
    together = model.representation.audio_channels
    check_together(options.stereo, together, recording.channels)
    measured = MeasuredBlocks(seen.source)
    notes: list[str] = []
    seen = replace(seen, source=measured, note=notes.append)
    damage = inspect(corruption, seen, options.damage, model.uses(corruption))
    if damage is None:
        rate = options.output_rate or recording.sample_rate
        return Restoration(model, precision, recording, rate, None, options, notes=tuple(notes))
    check_missing(damage, model.representation)
    rate = options.output_rate or damage.output_rate(recording)
    levels = model.config.loudness_dbfs, options.level_dbfs
    gains = measured.gains(seen, damage.lost, *levels, together=together > 1)
    coherence = None
    if together == 1 < recording.channels:
        coherence = measured.scanned().coherence(seen.sample_rate)
    plan = Plan(
        damage=damage,
        sample_rate=recording.sample_rate,
        output_rate=rate,
        channels=recording.channels,
        gains=gains if coherence is None else gains * coherence.signs,
        sampler=sampler,
        seed=options.seed,
        samples=_samples(recording),
        coherence=coherence,
    )
    return Restoration(model, precision, recording, rate, memory.fit(plan), options)


def as_tensor(wave: Samples) -> Tensor:
    """Return audio as a tensor (C, T); float64 stays float64, so that kept samples are exact.

    Raises:
        AudioError: the audio has another shape or type.
    """
    if not isinstance(wave, Tensor | np.ndarray):
        raise AudioError(
            f"the audio must be a NumPy array or a tensor, got {type(wave).__name__}; "
            "convert it with numpy.asarray"
        )
    array = as_numpy(wave)
    array = as_wave(array[None] if array.ndim == 1 else array, "the audio")
    if array.size == 0:
        raise AudioError(f"the audio is empty: its shape is {array.shape}")
    return torch.from_numpy(array)


def collected(restoration: Restoration, like: Wave, listener: Listener | None = None) -> Wave:
    """Run a restoration of audio in memory, and return its result as an array or a tensor.

    Args:
        restoration: the restoration, of a recording whose length is known.
        like: the audio whose type and number of dimensions the result has.
        listener: receives the progress and notes.
    """
    recording, rate = restoration.recording, restoration.output_rate
    samples = resampled_length(_samples(recording) or 0, recording.sample_rate, rate)
    given, done = as_tensor(like), 0
    restored = given.new_empty(recording.channels, samples)
    for block in restoration.run(listener=listener):
        restored[:, done : done + block.shape[-1]] = block
        done += block.shape[-1]
    result = restored[0] if like.ndim == 1 else restored
    if isinstance(like, np.ndarray):
        return result.numpy().astype(like.dtype)
    return result.to(like)


@dataclass(frozen=True)
class TensorBlocks:
    """Blocks of arrays or tensors as float tensors (C, n) of limited length, in a stereo mode."""

    blocks: Collection[Samples]
    sample_rate: int
    stereo: Stereo

    def __len__(self) -> int:
        return len(self.blocks)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        return formed_blocks(self.blocks, self.sample_rate, self.stereo)


def formed_blocks(blocks: Iterable[Samples], sample_rate: int, stereo: Stereo) -> Iterator[Tensor]:
    """Yield blocks of limited length of the channels (C, n) that a stereo mode restores.

    Raises:
        TaskError: a block has too many channels for ``stereo``.
    """
    for block in map(as_tensor, blocks):
        check_stereo(stereo, len(block))
        for part in torch.split(block, block_samples(sample_rate, len(block)), dim=-1):
            yield form(part, stereo)


def _window_s(sampler: WindowSampler, model: Model) -> float:
    """Return the seconds that a sampler needs before it can begin."""
    if sampler.window is None:
        return LOOKAHEAD_S
    return sampler.window * model.representation.stride / model.representation.sample_rate


def _samples(recording: Recording) -> int | None:
    """Return the length of a recording in samples; None if it is unknown."""
    duration_s = recording.duration_s
    return None if duration_s is None else round(duration_s * recording.sample_rate)


def _opened(recording: Recording, lookahead_s: float) -> tuple[Recording, Recording]:
    """Return the recording to restore and the one to inspect, which is the beginning of a pipe."""
    if isinstance(recording.source, Collection):
        if not recording.channels:
            first = next(iter(recording.source), None)
            if first is None:
                raise AudioError("the audio is empty")
            recording = replace(recording, channels=len(first))
        return recording, recording
    samples = math.ceil(lookahead_s * recording.sample_rate)
    blocks = iter(recording.source)
    head, count = [], 0
    for block in blocks:
        head.append(block)
        count += block.shape[-1]
        if count >= samples:
            break
    if not head and not recording.channels:
        raise AudioError("the audio is empty")
    recording = replace(recording, channels=recording.channels or len(head[0]))
    whole: Iterable[Tensor] = itertools.chain(head, blocks)
    return replace(recording, source=whole), replace(recording, source=head, is_partial=True)


def _digest(model: Model) -> str:
    """Return a digest of the configuration and the weights of a model."""
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {float(value.cpu().double().sum())!r}".encode())
    return digest.hexdigest()[:16]


def _finite(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield blocks, whose damaged input was finite, as long as they are finite."""
    for block in blocks:
        if not torch.isfinite(block).all():
            raise ModelError(
                "the model returned values that are not finite (NaN or infinite); its weights or "
                "its configuration are unsound"
            )
        yield block


def _after(blocks: Iterable[Tensor], skip: int) -> Iterator[Tensor]:
    for block in blocks:
        if skip < block.shape[-1]:
            yield block[:, skip:]
        skip = max(0, skip - block.shape[-1])
