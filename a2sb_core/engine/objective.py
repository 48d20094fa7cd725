"""What a training step is made of: segments damaged at random, times, noise and the loss (10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from a2sb_core.engine.model import Model
from a2sb_core.engine.segments import Segment
from a2sb_core.interfaces import Bridge, Item, Noise


@dataclass(frozen=True)
class Batch:
    """Clean and degraded items; ``counted`` (B, 1, F, W) marks what the loss is taken over."""

    x0: Tensor
    x1: Tensor
    missing: Tensor | None
    counted: Tensor
    origins: tuple[str, ...]

    @property
    def count(self) -> Tensor:
        """How many values the loss is taken over, in all channels; a scalar."""
        return self.counted.sum() * self.x0.shape[1]


def generators(segments: Sequence[Segment], seed: int) -> list[torch.Generator]:
    """Return what each segment's damage, time and noise are drawn from.

    It depends on the segment's number in the run alone: however a batch is divided among
    processes and micro-batches, its items are the same.
    """
    seeds = [hash((seed, segment.number)) & (2**62 - 1) for segment in segments]
    return [torch.Generator().manual_seed(one) for one in seeds]


def degrade(model: Model, segments: list[Segment], draws: Sequence[torch.Generator]) -> Batch:
    """Encode segments and damage each in its own drawn way.

    The loss counts what is missing and lies under the true bandwidth of the file.
    """
    representation, device = model.representation, next(model.backbone.parameters()).device
    wave = torch.stack([segment.wave for segment in segments]).to(device)
    x0 = representation.encode(wave)
    freqs_hz = representation.grid(wave.shape[-1]).freqs_hz.to(device)
    duration_s = wave.shape[-1] / representation.sample_rate
    degraded, counted = [], []
    for i, (segment, generator) in enumerate(zip(segments, draws, strict=True)):
        noise = Noise(_draw_seed(generator), x0.shape[1], x0.shape[2], device)
        parameters = model.corruption.draw(duration_s, generator)
        item = Item(wave[i : i + 1], x0[i : i + 1], representation)
        degraded.append(model.corruption.degrade(item, parameters, noise))
        missing = degraded[-1].missing
        everywhere = torch.ones_like(x0[i : i + 1, :1], dtype=torch.bool)
        # The row at half the sample rate counts for full-band files alone.
        full_band = segment.max_hz >= representation.sample_rate / 2
        under = ((freqs_hz < segment.max_hz) | full_band)[:, None]
        counted.append((everywhere if missing is None else missing & everywhere) & under)
    return Batch(
        x0=x0,
        x1=torch.cat([d.x1 for d in degraded]),
        missing=_stack_missing([d.missing for d in degraded], x0),
        counted=torch.cat(counted),
        origins=tuple(segment.origin for segment in segments),
    )


def _stack_missing(regions: list[Tensor | None], x0: Tensor) -> Tensor | None:
    """Stack the missing regions; None beside masks means everything may change."""
    if all(region is None for region in regions):
        return None
    whole = torch.ones_like(x0[:1, :1], dtype=torch.bool)
    return torch.cat([whole if r is None else r.expand_as(whole) for r in regions])


def draw_times(
    t_range: tuple[float, float], t_bias: float, draws: Sequence[torch.Generator]
) -> Tensor:
    """Draw a time from each generator in the trained range, towards 1 by ``t_bias``, (B,)."""
    low, high = t_range
    u = torch.cat([torch.rand(1, generator=generator) for generator in draws])
    return low + (high - low) * u ** (1 / (1 + t_bias))


def draw_noise(like: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
    """Draw standard normal noise for each item of ``like``, (B, ...), on its device."""
    noise = torch.empty_like(like)
    for item, generator in zip(noise, draws, strict=True):
        own = torch.Generator(like.device).manual_seed(_draw_seed(generator))
        item.normal_(generator=own)
    return noise


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


def batch_loss(
    model: Any, batch: Batch, t: Tensor, noise: Tensor, bridge: Bridge,
    count: Tensor | None = None,
) -> Tensor:
    """Mean of the prediction's errors over what is counted, (10).

    ``count`` is the number of values of the whole batch, where this is a part of it: the losses
    of all parts then add up to the loss of the whole.
    """
    xt = bridge.marginal(batch.x0, batch.x1, t).sample(noise)
    errors = model(batch.x0, xt, t, batch.x1, batch.missing)
    count = batch.count if count is None else count
    loss: Tensor = (errors * batch.counted.to(errors.dtype)).sum() / count.clamp(min=1)
    return loss
