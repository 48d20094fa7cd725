"""The trainer: one loop for pre-training and t-range fine-tuning, on Accelerate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from a2sb_core.config.run import OptimizerConfig, TrainConfig
from a2sb_core.engine.checkpoint import (
    latest_checkpoint,
    load_model,
    read_checkpoint,
    save_model,
    set_aside_checkpoints,
    write_checkpoint,
)
from a2sb_core.engine.devices import choose_device
from a2sb_core.engine.model import Model
from a2sb_core.engine.segments import Segment, Segments, load_sources
from a2sb_core.errors import TrainingError
from a2sb_core.interfaces import Item, Noise

log = logging.getLogger(__name__)

OnTrainStep = Callable[[int, float], None]
VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True)
class Batch:
    """Clean and degraded items; ``counted`` (B, 1, F, W) marks what the loss is taken over."""

    x0: Tensor
    x1: Tensor
    missing: Tensor | None
    counted: Tensor
    origins: tuple[str, ...]


def degrade(model: Model, segments: list[Segment], generator: torch.Generator) -> Batch:
    """Encode segments and damage each in its own drawn way.

    The loss counts what is missing and lies under the true bandwidth of the file.
    """
    representation, device = model.representation, next(model.backbone.parameters()).device
    wave = torch.stack([segment.wave for segment in segments]).to(device)
    x0 = representation.encode(wave)
    freqs_hz = representation.grid(wave.shape[-1]).freqs_hz.to(device)
    degraded, counted = [], []
    for i, segment in enumerate(segments):
        seed = int(torch.randint(2**62, (), generator=generator))
        noise = Noise(seed, x0.shape[1], x0.shape[2], device)
        duration_s = wave.shape[-1] / representation.sample_rate
        parameters = model.corruption.draw(duration_s, generator)
        item = Item(wave[i : i + 1], x0[i : i + 1], representation)
        degraded.append(model.corruption.degrade(item, parameters, noise))
        missing = degraded[-1].missing
        everywhere = torch.ones_like(x0[i : i + 1, :1], dtype=torch.bool)
        # The row at half the sample rate counts for full-band files alone.
        full_band = segment.max_hz >= representation.sample_rate / 2
        under = ((freqs_hz < segment.max_hz) | full_band)[:, None]
        counted.append((everywhere if missing is None else missing & everywhere) & under)
    regions = [d.missing for d in degraded]
    return Batch(
        x0=x0,
        x1=torch.cat([d.x1 for d in degraded]),
        missing=_stack_missing(regions, x0),
        counted=torch.cat(counted),
        origins=tuple(segment.origin for segment in segments),
    )


def _stack_missing(regions: list[Tensor | None], x0: Tensor) -> Tensor | None:
    """Stack the missing regions; None beside masks means everything may change."""
    if all(region is None for region in regions):
        return None
    whole = torch.ones_like(x0[:1, :1], dtype=torch.bool)
    return torch.cat([whole if r is None else r.expand_as(whole) for r in regions])


def draw_times(config: TrainConfig, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` times in the trained range, towards 1 by ``t_bias``."""
    low, high = config.t_range
    u = torch.rand(count, generator=generator) ** (1 / (1 + config.t_bias))
    return low + (high - low) * u


def batch_loss(model: Any, batch: Batch, t: Tensor, noise: Tensor, bridge: Any) -> Tensor:
    """Mean of the prediction's errors over what is counted, (10)."""
    xt = bridge.marginal(batch.x0, batch.x1, t).sample(noise)
    errors = model(batch.x0, xt, t, batch.x1, batch.missing)
    counted = batch.counted.to(errors.dtype)
    count = (counted.sum() * errors.shape[1]).clamp(min=1)
    loss: Tensor = (errors * counted).sum() / count
    return loss


def schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: warm-up, constant, linear decay."""
    decay_steps = config.decay * steps

    def factor(step: int) -> float:
        warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
        decay = min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0
        return warmup * max(decay, 0.0)

    return factor


def moving_average(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Return the update of an exponential moving average that forgets its start quickly.

    The decay rises from 2/11 to ``decay`` as (1 + n)/(10 + n) after n updates.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        n = int(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


class Trainer:
    """Trains one model by a :class:`TrainConfig`; :meth:`run` does everything.

    A run's state after step n depends on its configuration alone, and a resumed run
    continues with the very numbers of an uninterrupted one (on one device).

    Raises:
        TrainingError: data missing, NaN in the loss (naming the files), a checkpoint of
            another configuration.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        choose_device(config.device)  # refuse one that is absent now, rather than take another
        precision = {"fp32": "no", "bf16": "bf16"}[config.precision]
        self.accelerator = Accelerator(mixed_precision=precision, cpu=config.device == "cpu")
        self.device = self.accelerator.device
        torch.manual_seed(config.seed)
        self.model = Model(config.model)
        if config.init_from is not None:
            source = load_model(config.init_from)
            try:
                self.model.load_state_dict(source.state_dict())
            except RuntimeError as error:
                raise TrainingError(
                    f"the weights of init_from {config.init_from} do not fit this model: {error}"
                ) from error
        self.segments = self._segments("train")
        self.model.to(self.device)
        average = moving_average(config.ema_decay)
        self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=False)
        self.averaged = cast(Model, self.ema.module).eval()  # no dropout in validation
        self.optimizer = _optimizer(config.optimizer, self.model)
        self.scheduler = LambdaLR(self.optimizer, schedule(config.optimizer, config.steps))
        self.wrapped = self.accelerator.prepare(self.model)
        self.step = 0

    def run(self, resume: bool = True, on_step: OnTrainStep | None = None) -> None:
        """Train to the last step and write the averaged model to ``output/model``."""
        self.config.output.mkdir(parents=True, exist_ok=True)
        if not resume and self.accelerator.is_main_process:
            set_aside_checkpoints(self.config.output)
        checkpoint = latest_checkpoint(self.config.output) if resume else None
        if checkpoint is not None:
            self._load(read_checkpoint(checkpoint, self.config))
            log.info("resumed from %s at step %d", checkpoint, self.step)
        elif self.config.init_from is None:
            self._fit_statistics()
        writer = SummaryWriter(str(self.config.output / "tensorboard"))
        for segments in self._loader():
            for segment in segments:
                self.segments.unreadable.update(segment.skipped)  # a worker's count is its own
            loss = self._train_step(segments)
            self._report(writer, loss, on_step)
        writer.close()
        if self.accelerator.is_main_process:
            save_model(self.averaged, self.config.output / "model", overwrite=True)

    def validate(self, segments: list[Segment]) -> dict[str, float]:
        """Loss of the averaged model at fixed times with fixed noise, by time."""
        losses = {}
        for t in VALIDATION_TIMES:
            generator = torch.Generator().manual_seed(self.config.seed)
            with torch.no_grad(), self.accelerator.autocast():
                batch = degrade(self.averaged, segments, generator)
                noise = _noise_like(batch.x0, generator)
                times = torch.full((len(batch.x0),), t, device=self.device)
                loss = batch_loss(self.averaged, batch, times, noise, self.model.bridge)
            losses[f"t={t}"] = float(loss)
        return losses

    def _train_step(self, segments: list[Segment]) -> float:
        """One optimizer step over this process's share of the batch."""
        config, total = self.config, 0.0
        size = len(segments) // config.accumulate
        self.wrapped.train()
        for part in range(config.accumulate):
            place = (self.step * config.accumulate + part) * self.accelerator.num_processes
            seed = hash((config.seed, place + self.accelerator.process_index)) & (2**62 - 1)
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)  # dropout draws from the global generator
            batch = degrade(self.model, segments[part * size : (part + 1) * size], generator)
            t = draw_times(config, size, generator).to(self.device)
            noise = _noise_like(batch.x0, generator)
            with self.accelerator.autocast():
                loss = batch_loss(self.wrapped, batch, t, noise, self.model.bridge)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {self.step}; the batch holds: "
                    + "; ".join(batch.origins)
                )
            self.accelerator.backward(loss / config.accumulate)
            total += float(loss.detach()) / config.accumulate
        self.accelerator.clip_grad_norm_(self.model.parameters(), config.optimizer.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.ema.update_parameters(self.model)
        self.step += 1
        return total

    def _report(self, writer: SummaryWriter, loss: float, on_step: OnTrainStep | None) -> None:
        """Log, validate and checkpoint when it is time."""
        config, last = self.config, self.step == self.config.steps
        if on_step is not None:
            on_step(self.step, loss)
        if not self.accelerator.is_main_process:
            return
        if self.step % config.log_every == 0 or last:
            writer.add_scalar("loss/train", loss, self.step)
            writer.add_scalar("learning_rate", self.scheduler.get_last_lr()[0], self.step)
            writer.add_scalar("data/unreadable", len(self.segments.unreadable), self.step)
        if self.step % config.validate_every == 0 or last:
            self._log_validation(writer)
        if self.step % config.checkpoint_every == 0 or last:
            write_checkpoint(self._state(), config.output, self.step, config.keep_checkpoints)

    def _log_validation(self, writer: SummaryWriter) -> None:
        validation = self._segments("validation")
        if not validation.sources:
            return
        losses = self.validate([validation[i] for i in range(self.config.batch_size)])
        for name, value in losses.items():
            writer.add_scalar(f"loss/validation/{name}", value, self.step)
        log.info("step %d validation: %s", self.step, losses)

    def _segments(self, split: str) -> Segments:
        data, representation = self.config.data, self.model.representation
        sources = load_sources(data, split)
        return Segments(
            sources,
            length=_segment_length(data.frames, representation.stride),
            sample_rate=representation.sample_rate,
            count=self.config.steps * self.config.batch_size,
            seed=self.config.seed,
            gain_db=data.gain_db,
            loudness_dbfs=self.config.model.loudness_dbfs,
            group_weights=data.group_weights if split == "train" else None,
        )

    def _loader(self) -> Iterator[list[Segment]]:
        """Batches of this process from the present step on."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        if self.config.batch_size % (processes * self.config.accumulate):
            raise TrainingError(
                f"batch_size {self.config.batch_size} must be a multiple of processes x accumulate "
                f"({processes} x {self.config.accumulate})"
            )
        size = self.config.batch_size
        batches = [
            list(range(step * size + rank, (step + 1) * size, processes))
            for step in range(self.step, self.config.steps)
        ]
        workers = self.config.data.workers
        loader: DataLoader[Segment] = DataLoader(
            self.segments, batch_sampler=batches, collate_fn=list, num_workers=workers,
            prefetch_factor=4 if workers else None, persistent_workers=bool(workers),
        )
        return iter(loader)

    def _fit_statistics(self) -> None:
        """Let the prediction learn its statistics from the first segments."""
        count = min(self.config.statistics_segments, len(self.segments))
        waves = torch.stack([self.segments[i].wave for i in range(count)]).to(self.device)
        with torch.no_grad():
            x0 = self.model.representation.encode(waves)
            for prediction in (self.model.prediction, self.averaged.prediction):
                prediction.fit(x0)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def _segment_length(frames: int, stride: int) -> int:
    """Samples that a centred transform turns into ``frames`` frames."""
    return max(1, (frames - 1) * stride)


def _noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator).to(x)


def _optimizer(config: OptimizerConfig, model: Model) -> torch.optim.Optimizer:
    kinds = {"adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
    options: dict[str, Any] = {
        "lr": config.learning_rate, "betas": config.betas, "weight_decay": config.weight_decay,
    }
    if config.kind == "radam":
        options["decoupled_weight_decay"] = True
    optimizer: torch.optim.Optimizer = kinds[config.kind](model.parameters(), **options)
    return optimizer
