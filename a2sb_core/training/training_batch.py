"""Batches of a training step: segments damaged at random, with times and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces import Degraded, Item, Noise
from a2sb_core.models.model import Model
from a2sb_core.training.data.segments import Segment


@dataclass(frozen=True)
class TrainingBatch:
    """Clean and degraded items.

    Attributes:
        x0: clean items (B, ch, F, W).
        x1: degraded items (B, ch, F, W).
        missing: True where content is to be restored (B, 1, F, W); None: everything may change.
        counted: where the loss is taken (B, 1, F, W).
        origins: the file and second that each item came from.
        conditioning: parameters of the damage for the network, see :meth:`Model.conditioning`.
    """

    x0: Tensor
    x1: Tensor
    missing: Tensor | None
    counted: Tensor
    origins: tuple[str, ...]
    conditioning: Tensor | None = None

    @property
    def count(self) -> Tensor:
        """Number of values that the loss is taken over, in all channels; a scalar."""
        return self.counted.sum() * self.x0.shape[1]


@dataclass(frozen=True)
class MicroBatch:
    """A batch with its times t (B,), the weights of its losses (B,) and noise (B, ch, F, W)."""

    batch: TrainingBatch
    t: Tensor
    weights: Tensor
    noise: Tensor


def segment_generators(segments: Sequence[Segment], seed: int) -> list[torch.Generator]:
    """Return the generators that draw each segment's damage, time and noise.

    They depend on the segment's number in the run alone: the items of a batch are the same
    however it is divided among processes and micro-batches.
    """
    seeds = [hash((seed, segment.number)) & (2**62 - 1) for segment in segments]
    return [torch.Generator().manual_seed(one) for one in seeds]


def make_batch(
    model: Model,
    segments: Sequence[Segment],
    generators: Sequence[torch.Generator],
    condition_dropout: float = 0.0,
) -> TrainingBatch:
    """Encode segments and damage each of them at random.

    The loss counts what is missing below the true bandwidth of the file. Each parameter on which
    the network is conditioned is hidden with the probability ``condition_dropout``.
    """
    representation, device = model.representation, next(model.backbone.parameters()).device
    wave = torch.stack([segment.wave for segment in segments]).to(device)
    whole = representation.encode(wave.flatten(0, -2))
    halo = segments[0].context // representation.stride
    used = halo, whole.shape[-1] - halo
    x0 = whole[..., slice(*used)]
    freqs_hz = representation.grid(wave.shape[-1]).freqs_hz.to(device)
    duration_s = segments[0].trained.shape[-1] / representation.sample_rate
    degraded, counted, known = [], [], []
    for i, (segment, generator) in enumerate(zip(segments, generators, strict=True)):
        noise = Noise(_draw_seed(generator), x0.shape[1], x0.shape[2], device)
        parameters = model.corruption.draw(duration_s, generator)
        own = wave[i : i + 1].flatten(0, -2), whole[i : i + 1]
        item = Item(*own, representation, start=-halo, used=used)
        degraded.append(_used(model.corruption.degrade(item, parameters, noise), used))
        missing = degraded[-1].missing
        known.append(_shown(model, parameters, generator, condition_dropout))
        everywhere = torch.ones_like(x0[i : i + 1, :1], dtype=torch.bool)
        # The row at half the sample rate counts only in files of full bandwidth.
        full_band = segment.max_hz >= representation.sample_rate / 2
        in_band = ((freqs_hz < segment.max_hz) | full_band)[:, None]
        counted.append((everywhere if missing is None else missing & everywhere) & in_band)
    return TrainingBatch(
        x0=x0,
        x1=torch.cat([d.x1 for d in degraded]),
        missing=_stack_missing([d.missing for d in degraded], x0),
        counted=torch.cat(counted),
        origins=tuple(segment.origin for segment in segments),
        conditioning=model.conditioning(known).to(device),
    )


def _used(degraded: Degraded, used: tuple[int, int]) -> Degraded:
    """Return the frames of an item that are used."""
    x1, missing = degraded.x1[..., slice(*used)], degraded.missing
    if missing is None or missing.shape[-1] == 1:
        return Degraded(x1, missing)
    return Degraded(x1, missing[..., slice(*used)])


def draw_noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw standard normal noise for each item of ``like``, (B, ...), on its device."""
    noise = torch.empty_like(like)
    for item, generator in zip(noise, generators, strict=True):
        own = torch.Generator(like.device).manual_seed(_draw_seed(generator))
        item.normal_(generator=own)
    return noise


def _shown(
    model: Model, parameters: Any, generator: torch.Generator, dropout: float
) -> dict[str, float]:
    """Return the parameters for the network, without those that are hidden at random."""
    shown = {
        name: dropout == 0 or float(torch.rand((), generator=generator)) >= dropout
        for name in model.config.condition_on
    }
    scaled = model.corruption.scaled(parameters)
    return {name: value for name, value in scaled.items() if shown.get(name)}


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


def _stack_missing(regions: list[Tensor | None], x0: Tensor) -> Tensor | None:
    """Stack the missing regions; beside masks, None is a mask of everything."""
    if all(region is None for region in regions):
        return None
    whole = torch.ones_like(x0[:1, :1], dtype=torch.bool)
    return torch.cat([whole if r is None else r.expand_as(whole) for r in regions])
