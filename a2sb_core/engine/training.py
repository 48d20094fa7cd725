"""The trainer: one loop for pre-training and t-range fine-tuning, on Accelerate."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.tensorboard import SummaryWriter

from a2sb_core.config.run import TrainConfig
from a2sb_core.engine.checkpoint import load_model, save_model
from a2sb_core.engine.devices import choose_device
from a2sb_core.engine.loading import Share, Tally, load_batches
from a2sb_core.engine.model import Model
from a2sb_core.engine.objective import (
    Batch,
    Part,
    degrade,
    draw_noise,
    generators,
    item_losses,
)
from a2sb_core.engine.optimization import Average, make_optimizer, schedule
from a2sb_core.engine.runinfo import RUN_NAME, describe_run, to_json
from a2sb_core.engine.runs import (
    alone_in,
    clear_leftovers,
    latest_checkpoint,
    read_checkpoint,
    set_aside_checkpoints,
    write_checkpoint,
    writing,
)
from a2sb_core.engine.segments import Segment, Segments
from a2sb_core.engine.sharding import place, place_optimizer, shard, sharding_asked, whole
from a2sb_core.engine.sources import group_weights, load_sources
from a2sb_core.engine.times import Times
from a2sb_core.engine.validation import Restoration, losses_by_time, show
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

OnTrainStep = Callable[[int, float], None]
PATIENCE = timedelta(hours=2)
"""So long may the other processes wait while the first one validates."""


class Trainer:
    """Trains one model by a :class:`TrainConfig`; :meth:`run` does everything.

    A run's state after step n depends on its configuration alone, and a resumed run
    continues with the very numbers of an uninterrupted one (on one device). Any number of
    processes and micro-batches takes the same steps, but for rounding.

    Raises:
        TrainingError: data missing, NaN in the loss (naming the files), a checkpoint of
            another configuration, an output folder in use.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator, self.device = _accelerate(config)
        self._check_division()
        torch.manual_seed(config.seed)
        self.model = _initial_model(config)
        segments = self._segments("train")
        assert segments is not None  # loading the sources raises first
        self.segments = segments
        self.held_out = self._segments("validation")
        sources = self.held_out.sources if self.held_out else []
        self.restoration = Restoration(config, self.model, sources)
        self.model.to(self.device)
        self.average = Average(self.model, config.ema_decay)
        if sharding_asked() and self.accelerator.num_processes > 1:
            shard(self.model)
            self.average.shard(self.model)
            self.wrapped: Any = self.model
        else:
            self.wrapped = self.accelerator.prepare(self.model)
        self.optimizer = make_optimizer(config.optimizer, self.model)
        self.scheduler = LambdaLR(self.optimizer, schedule(config.optimizer, config.steps))
        self.times = Times(config.times, config.t_range)
        self.tally, self.step, self.shown = Tally(), 0, False

    def run(self, resume: bool = True, on_step: OnTrainStep | None = None) -> None:
        """Train to the last step and write the averaged model to ``output/model``."""
        main, output = self.accelerator.is_main_process, self.config.output
        with contextlib.ExitStack() as stack:
            if main:
                stack.enter_context(alone_in(output))
                clear_leftovers(output)
                if not resume:
                    set_aside_checkpoints(output)
            self.accelerator.wait_for_everyone()
            self._begin(latest_checkpoint(output) if resume else None)
            account = self._account() if main else ""
            writer = stack.enter_context(self._writer()) if main else None
            for segments in self.tally.watch(self._batches()):
                for segment in segments:
                    self.segments.unreadable.update(segment.skipped)  # a worker's count is its own
                loss, norm = self._train_step(segments)
                self._report(writer, loss, norm, on_step)
            model = self.average.gather()
            if main:
                with writing(output / "model"):
                    save_model(model, output / "model", overwrite=True, notes={RUN_NAME: account})
                self._sum_up()

    def validate(self, segments: list[Segment]) -> dict[str, float]:
        """Loss of the averaged model at fixed times with fixed noise, by time."""
        return self._losses(self.average.gather().to(self.device), segments)

    def _losses(self, model: Model, segments: list[Segment]) -> dict[str, float]:
        at_once = self.config.batch_size // (
            self.accelerator.num_processes * self.config.accumulate
        )
        autocast = self.accelerator.autocast
        return losses_by_time(model, segments, self.config.seed, at_once, autocast)

    def _train_step(self, segments: list[Segment]) -> tuple[float, float]:
        """One optimizer step over this process's share of the batch: loss and gradient norm."""
        self.wrapped.train()
        parts = self._parts(segments)
        # The loss is a mean over the values of the whole batch, not a mean of means.
        count = self.accelerator.reduce(torch.stack([part.batch.count for part in parts]).sum())
        losses, items, stft_weight = [], [], self.config.stft_weight
        for number, part in enumerate(parts):
            torch.manual_seed(self._dropout_seed(number))
            last = number == len(parts) - 1
            share = contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped)
            with share:
                with self.accelerator.autocast():
                    items.append(item_losses(self.wrapped, part, self.model, stft_weight))
                    loss = (part.weights * items[-1]).sum() / count.clamp(min=1)
                # Gradients are averaged over the processes; the loss is their sum.
                self.accelerator.backward(loss * self.accelerator.num_processes)
            losses.append(loss.detach())
        self._check_losses(losses, [part.batch for part in parts])
        self._learn_times(parts, items)
        total = float(self.accelerator.reduce(torch.stack(losses).sum()))
        limit = self.config.optimizer.max_grad_norm
        norm = _number(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        if not math.isfinite(norm):
            raise TrainingError(
                f"the gradient is {norm} at step {self.step}; the loss is {total:g}: lower the "
                "learning rate, or look at the files of this step: " + _files(parts)
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.average.update(self.model)
        self.step += 1
        return total, norm

    def _parts(self, segments: list[Segment]) -> list[Part]:
        """Divide segments into micro-batches."""
        config, parts = self.config, []
        size = len(segments) // config.accumulate
        for start in range(0, len(segments), size):
            mine = segments[start : start + size]
            draws = generators(mine, config.seed)
            batch = degrade(self.model, mine, draws)
            t, weights = (x.to(self.device) for x in self.times.draw(draws))
            parts.append(Part(batch, t, weights, draw_noise(batch.x0, draws)))
        return parts

    def _learn_times(self, parts: list[Part], items: list[Tensor]) -> None:
        """Let the drawing of times know the mean loss of each item, over all processes."""
        if self.config.times.kind != "by_loss":
            return
        counts = torch.cat([part.batch.counted.sum(dim=(1, 2, 3)) for part in parts])
        means = torch.cat(items).detach() / counts.clamp(min=1)
        t = self.accelerator.gather(torch.cat([part.t for part in parts]))
        self.times.learn(t, self.accelerator.gather(means))

    def _dropout_seed(self, part: int) -> int:
        """Dropout draws from the global generator: differently in each part of a step."""
        place = (self.step * self.config.accumulate + part) * self.accelerator.num_processes
        return hash((self.config.seed, place + self.accelerator.process_index)) & (2**62 - 1)

    def _check_losses(self, losses: list[Tensor], batches: list[Batch]) -> None:
        for loss, batch in zip(torch.stack(losses).tolist(), batches, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} at step {self.step}; the batch holds: "
                    + "; ".join(batch.origins)
                )

    def _report(
        self, writer: SummaryWriter | None, loss: float, norm: float, on_step: OnTrainStep | None
    ) -> None:
        """Log, validate and checkpoint when it is time."""
        config, last = self.config, self.step == self.config.steps
        if on_step is not None and writer is not None:
            on_step(self.step, loss)
        if writer is not None and (self.step % config.log_every == 0 or last):
            self._log(writer, {"loss/train": loss, "gradient_norm": norm})
        if self.held_out and (self.step % config.validate_every == 0 or last):
            model = self.average.gather()
            if writer is not None:
                self._validate(writer, model.to(self.device))
        if self.step % config.checkpoint_every == 0 or last:
            state = self._state()
            if writer is not None:
                write_checkpoint(state, config.output, self.step, config.keep_checkpoints)

    def _log(self, writer: SummaryWriter, values: dict[str, float]) -> None:
        values = values | {
            "learning_rate": float(self.scheduler.get_last_lr()[0]),
            "data/unreadable": len(self.segments.unreadable),
            "data/padded": self.tally.counts["padded"],
            "data/quiet": self.tally.counts["quiet"],
            "data/wait_share": self.tally.wait_share,
        }
        for name, value in values.items():
            writer.add_scalar(name, value, self.step)

    def _validate(self, writer: SummaryWriter, model: Model) -> None:
        """Measure the averaged model and show what it restores."""
        assert self.held_out is not None
        segments = [self.held_out[i] for i in range(self.config.batch_size)]
        losses = self._losses(model, segments)
        for name, value in losses.items():
            writer.add_scalar(f"loss/validation/{name}", value, self.step)
        examples = self.restoration.run(model, self.device)
        means = show(writer, examples, self.step, first=not self.shown)
        self.shown = True
        log.info("step %d validation: %s", self.step, losses | means)

    def _sum_up(self) -> None:
        """Say what became of the data."""
        tally = self.tally
        log.info(
            "waited for data %.1f %% of %.0f s; of %d segments %d were padded with silence; "
            "%d quiet draws were refused; %d files could not be used",
            100 * tally.wait_share, tally.total_s, tally.segments, tally.counts["padded"],
            tally.counts["quiet"], len(self.segments.unreadable),
        )

    def _segments(self, split: str) -> Segments | None:
        """Segments of a split; None: it holds no files."""
        data, representation = self.config.data, self.model.representation
        sources = load_sources(data, split)
        if not sources:
            return None
        return Segments(
            sources,
            length=_segment_length(data.frames, representation.stride),
            sample_rate=representation.sample_rate,
            count=self.config.steps * self.config.batch_size,
            seed=self.config.seed,
            gain_db=data.gain_db,
            loudness_dbfs=self.config.model.loudness_dbfs,
            group_weights=group_weights(data) if split == "train" else None,
            augment=data.augment if split == "train" else None,
        )

    def _batches(self) -> Iterable[list[Segment]]:
        """Batches of this process from the present step on."""
        share = Share(
            self.step, self.config.steps, self.config.batch_size,
            self.accelerator.num_processes, self.accelerator.process_index,
        )
        return load_batches(self.segments, share, self.config.data.workers)

    def _check_division(self) -> None:
        processes, accumulate = self.accelerator.num_processes, self.config.accumulate
        if self.config.batch_size % (processes * accumulate):
            raise TrainingError(
                f"batch_size {self.config.batch_size} must be a multiple of processes x accumulate "
                f"({processes} x {accumulate})"
            )

    def _begin(self, checkpoint: Path | None) -> None:
        """Go on from a checkpoint, or start."""
        if checkpoint is not None:
            self._load(read_checkpoint(checkpoint, self.config))
            log.info("resumed from %s at step %d", checkpoint, self.step)
        elif self.config.init_from is None:
            self._fit_statistics()

    def _fit_statistics(self) -> None:
        """Let the prediction learn its statistics from the first segments."""
        count = min(self.config.statistics_segments, len(self.segments))
        waves = torch.stack([self.segments[i].wave for i in range(count)]).to(self.device)
        with torch.no_grad():
            x0 = self.model.representation.encode(waves)
            self.model.prediction.fit(x0)
            self.average.model.prediction.load_state_dict(self.model.prediction.state_dict())

    @contextlib.contextmanager
    def _writer(self) -> Iterator[SummaryWriter]:
        """The TensorBoard log; what an interrupted run wrote beyond its checkpoint is void."""
        folder = str(self.config.output / "tensorboard")
        with SummaryWriter(folder, purge_step=self.step + 1 if self.step else None) as writer:
            yield writer

    def _account(self) -> str:
        """Write the account of the run into its folder, and return it."""
        path = self.config.output / RUN_NAME
        text = to_json(describe_run(
            self.config, self.segments.sources, self.step, self.accelerator.num_processes,
            str(self.device), earlier=path,
        ))
        with writing(path):
            path.write_text(text, encoding="utf8")
        return text

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "model": whole(self.model.state_dict()),
            "ema": self.average.state_dict(),
            "optimizer": whole(self.optimizer.state_dict()),
            "scheduler": self.scheduler.state_dict(),
            "times": self.times.means,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        present = self.model.state_dict()
        self.model.load_state_dict({k: place(v, present[k]) for k, v in state["model"].items()})
        self.average.load_state_dict(state["ema"])
        parameters = list(self.model.parameters())
        self.optimizer.load_state_dict(place_optimizer(state["optimizer"], parameters))
        self.scheduler.load_state_dict(state["scheduler"])
        self.times.means = state["times"]


def _accelerate(config: TrainConfig) -> tuple[Accelerator, torch.device]:
    """Start Accelerate on the device of a configuration.

    Raises:
        ModelError: the device is absent.
        TrainingError: one device is named for several processes.
    """
    chosen = choose_device(config.device)  # refuse one that is absent now, rather than take another
    if chosen.type == "cuda" and chosen.index is not None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise TrainingError(
                f"device {config.device} is one device, and there are several processes; use `cuda`"
            )
        torch.cuda.set_device(chosen)
    if config.deterministic and chosen.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    accelerator = Accelerator(
        mixed_precision={"fp32": "no", "bf16": "bf16"}[config.precision],
        cpu=chosen.type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    return accelerator, chosen if chosen.index is not None else accelerator.device


def _initial_model(config: TrainConfig) -> Model:
    """Make the model, with the weights of ``init_from`` if it is given."""
    model = Model(config.model)
    if config.init_from is not None:
        try:
            model.load_state_dict(load_model(config.init_from).state_dict())
        except RuntimeError as error:
            raise TrainingError(
                f"the weights of init_from {config.init_from} do not fit this model: {error}"
            ) from error
    return model


def _segment_length(frames: int, stride: int) -> int:
    """Samples that a centred transform turns into ``frames`` frames."""
    return max(1, (frames - 1) * stride)


def _number(norm: Tensor) -> float:
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _files(parts: list[Part]) -> str:
    return "; ".join(origin for part in parts for origin in part.batch.origins)
