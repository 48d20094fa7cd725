"""A restoration that has been looked into and can be run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from a2sb_core.engine import survey
from a2sb_core.engine.devices import is_compiled
from a2sb_core.engine.memory import fit_batch
from a2sb_core.engine.model import Model
from a2sb_core.engine.streaming import Plan, Progress, Restoration
from a2sb_core.errors import AudioError, TaskError

Wave = Tensor | np.ndarray


@dataclass(frozen=True)
class Job:
    """What is damaged in a recording, and what will be done about it.

    Attributes:
        model: restores.
        precision: of the network.
        blocks: the damaged audio (C, n).
        sample_rate: of the audio, Hz.
        output_rate: of the result, Hz.
        damage: what is missing; None: nothing, the audio will come back as it is.
        plan: how it is restored; None with ``damage``.
        progress: called with (done, of), in frames.
    """

    model: Model
    precision: str
    blocks: Iterable[Tensor]
    sample_rate: int
    output_rate: int
    damage: Any | None
    plan: Plan | None
    progress: Progress | None = None

    def run(self, skip: int = 0) -> Iterator[Tensor]:
        """Yield restored blocks (C, any number), without the first ``skip`` samples."""
        if self.plan is None:
            whole = survey.kept(self.blocks, None, self.sample_rate)
            yield from _after(survey.at_rate(whole, self.sample_rate, self.output_rate), skip)
            return
        plan = self.plan
        known, rate = plan.parameters, plan.output_rate
        start = plan.corruption.polish_from(known, rate, skip)
        polished = plan.corruption.polish(self._restored(plan, start), known, rate, start)
        yield from _after(polished, skip - start)

    def _restored(self, plan: Plan, skip: int) -> Iterator[Tensor]:
        restoration = Restoration(self.model, plan, self.precision, self.progress, skip)
        for block in self.blocks:
            yield restoration.push(block)
        yield restoration.finish()

    def with_progress(self, progress: Progress | None) -> Job:
        """Return this job, telling its progress."""
        return replace(self, progress=progress)

    def settings(self) -> dict[str, Any]:
        """Return what the result depends on beside the audio and the model, for JSON."""
        plan = self.plan
        if plan is None:
            return {"damage": None, "output_rate": self.output_rate}
        return {
            "damage": self.damage.model_dump(mode="json") if self.damage is not None else None,
            "output_rate": self.output_rate,
            "sampler": plan.sampler.config.model_dump(mode="json"),
            "seed": plan.seed,
            "precision": self.precision,
            "is_compiled": is_compiled(self.model.backbone),
            "device": str(next(self.model.backbone.parameters()).device),
        }


def prepare(
    model: Model, precision: str, blocks: Iterable[Wave], sample_rate: int, *, task: str,
    output_rate: int, given: dict[str, Any], steps: int | None = None, seed: int = 0,
    samples: int | None = None, lookahead_s: float = 30.0, progress: Progress | None = None,
    max_bytes: int | None = None,
) -> Job:
    """Look into a recording; see :meth:`Restorer.job`."""
    if steps is not None and steps < 1:
        raise TaskError(f"steps must be at least 1, got {steps}")
    known: Iterable[Wave] = blocks
    corruption = model.corruption.for_task(task)
    if not isinstance(blocks, Collection):
        if corruption.looks_at_all and not given:
            raise TaskError(
                f"the task `{task}` must see the whole recording to find the damage, and a pipe "
                "passes once: give the damage, or a file"
            )
        known, blocks = _look_ahead(iter(blocks), round(lookahead_s * sample_rate))
    seen, own = _Tensors(known), model.representation.sample_rate
    duration_s = math.inf if samples is None else samples / sample_rate
    damage = survey.find_damage(corruption, seen, sample_rate, own, duration_s, given)
    plan = None
    if damage is not None:
        steps = steps or model.config.steps.get(corruption.task)
        sampler = model.sampler.with_steps(steps) if steps else model.sampler
        channels = len(next(iter(seen)))
        plan = Plan(
            corruption=corruption,
            parameters=survey.settle(corruption, damage, seen, sample_rate, own),
            sample_rate=sample_rate,
            output_rate=output_rate,
            gain=survey.loudness_gain(
                seen, corruption.stretches(damage), sample_rate, model.config.loudness_dbfs
            ),
            sampler=fit_batch(sampler, model, precision, channels, max_bytes),
            seed=seed,
            samples=samples,
        )
    return Job(
        model, precision, _Tensors(blocks), sample_rate, output_rate, damage, plan, progress
    )


def as_tensor(wave: Wave) -> Tensor:
    """Return (C, T), float32 or float64 as given: what is kept must come back to the bit.

    Raises:
        AudioError: the audio has another form.
    """
    audio = torch.as_tensor(wave).detach().cpu()
    if audio.ndim == 1:
        audio = audio[None]
    if audio.ndim != 2 or audio.numel() == 0 or not audio.is_floating_point():
        raise AudioError(
            f"audio must be floating-point, of shape (channels, samples) and not empty; "
            f"got {audio.dtype} of shape {tuple(audio.shape)}"
        )
    return audio if audio.dtype == torch.float64 else audio.float()


@dataclass(frozen=True)
class _Tensors:
    """Blocks as float tensors (C, n)."""

    blocks: Iterable[Wave]

    def __iter__(self) -> Iterator[Tensor]:
        return map(as_tensor, self.blocks)


def _look_ahead(blocks: Iterator[Wave], samples: int) -> tuple[list[Wave], Iterator[Wave]]:
    """Return the first blocks, and all of them."""
    head, count = [], 0
    for block in blocks:
        head.append(block)
        count += block.shape[-1]
        if count >= samples:
            break
    return head, itertools.chain(head, blocks)


def _after(blocks: Iterable[Tensor], skip: int) -> Iterator[Tensor]:
    for block in blocks:
        if skip < block.shape[-1]:
            yield block[:, skip:]
        skip = max(0, skip - block.shape[-1])
