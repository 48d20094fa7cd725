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


def draw_noise(like: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
    """Draw standard normal noise for each item of ``like``, (B, ...), on its device."""
    noise = torch.empty_like(like)
    for item, generator in zip(noise, draws, strict=True):
        own = torch.Generator(like.device).manual_seed(_draw_seed(generator))
        item.normal_(generator=own)
    return noise


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


@dataclass(frozen=True)
class Part:
    """A micro-batch: its times and weights of its losses, both (B,), and noise (B, ch, F, W)."""

    batch: Batch
    t: Tensor
    weights: Tensor
    noise: Tensor


def item_losses(model: Any, part: Part, parts: Model, stft_weight: float = 0.0) -> Tensor:
    """Sum of the prediction's errors over what is counted of each item, (B,).

    Args:
        model: gives errors, as :meth:`Model.forward`.
        part: what is trained on.
        parts: the model's bridge and representation.
        stft_weight: weight of the multi-resolution STFT distance between the audio of the
            estimated and of the clean x0, which is added to each value that is counted.
    """
    batch = part.batch
    xt = parts.bridge.marginal(batch.x0, batch.x1, part.t).sample(part.noise)
    state = (batch.x0, xt, part.t, batch.x1, batch.missing)
    if stft_weight == 0:
        return _counted(model(*state), batch)
    errors, x0 = model(*state, estimate=True)
    values = batch.counted.sum(dim=(1, 2, 3)) * x0.shape[1]
    losses: Tensor = _counted(errors, batch) + stft_weight * _distance(x0, batch, parts) * values
    return losses


def _distance(x0: Tensor, batch: Batch, parts: Model) -> Tensor:
    representation = parts.representation
    length = max(1, (x0.shape[-1] - 1) * representation.stride)
    with torch.autocast(x0.device.type, enabled=False):
        # What does not count (the file's true bandwidth ends below it) is no part of the distance.
        estimate = torch.where(batch.counted, x0.float(), batch.x0)
        wave = representation.decode(estimate, length)
        clean = representation.decode(batch.x0, length)
    return stft_distance(wave, clean)


def _counted(errors: Tensor, batch: Batch) -> Tensor:
    sums: Tensor = (errors * batch.counted.to(errors.dtype)).sum(dim=(1, 2, 3))
    return sums


def stft_distance(
    wave: Tensor, clean: Tensor, sizes: Sequence[int] = (512, 1024, 2048)
) -> Tensor:
    """Return the multi-resolution STFT distance (Yamamoto et al. 2020) of audio (B, T), (B,).

    For each window size the spectral convergence |M - M0|/|M0|, and the mean of |ln M - ln M0|,
    of magnitudes M and M0; averaged over sizes. Magnitudes below -80 dB of the loudest are taken
    as that.
    """
    distances = []
    for size in sizes:
        window = torch.hann_window(size, device=wave.device)
        made, true = (
            torch.view_as_real(torch.stft(
                x, size, size // 4, window=window, return_complex=True, pad_mode="constant"
            )).square().sum(dim=-1)
            for x in (wave, clean)
        )
        floor = true.amax(dim=(1, 2), keepdim=True).clamp(min=1e-8) * 1e-8
        made, true = made.clamp(min=floor).sqrt(), true.clamp(min=floor).sqrt()
        convergence = (made - true).norm(dim=(1, 2)) / true.norm(dim=(1, 2))
        distances.append(convergence + (made.log() - true.log()).abs().mean(dim=(1, 2)))
    return torch.stack(distances).mean(dim=0)


def batch_loss(
    model: Any, batch: Batch, t: Tensor, noise: Tensor, bridge: Bridge,
    count: Tensor | None = None,
) -> Tensor:
    """Mean of the prediction's errors over what is counted, (10).

    ``count`` is the number of values of the whole batch, where this is a part of it: the losses
    of all parts then add up to the loss of the whole.
    """
    count = batch.count if count is None else count
    xt = bridge.marginal(batch.x0, batch.x1, t).sample(noise)
    errors = model(batch.x0, xt, t, batch.x1, batch.missing)
    return _counted(errors, batch).sum() / count.clamp(min=1)
