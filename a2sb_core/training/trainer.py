"""The training loop, for pre-training and for fine-tuning on a range of t."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.tensorboard import SummaryWriter

from a2sb_core.config.training import TrainConfig
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.errors import TrainingError
from a2sb_core.interfaces import TrainingEstimate, WideningBackbone
from a2sb_core.models.folder import save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.models.run_record import RUN_NAME
from a2sb_core.training import run_folder, sharding
from a2sb_core.training.accelerator import agree_on_precision, start_accelerator
from a2sb_core.training.data import loading
from a2sb_core.training.data.segments import Segment
from a2sb_core.training.moving_average import MovingAverage
from a2sb_core.training.objective import Objective, item_losses, try_batch
from a2sb_core.training.optimizer import make_critic_optimizer, make_optimizer, schedule
from a2sb_core.training.run_record import write_record
from a2sb_core.training.times import TimeSampler
from a2sb_core.training.training_batch import MicroBatch, draw_noise, make_batch, segment_generators
from a2sb_core.training.validation import ClipValidation, losses_by_time, write_examples

log = logging.getLogger(__name__)

OnTrainStep = Callable[[int, float], None]


class Trainer:
    """Trains one model as a :class:`TrainConfig` describes; :meth:`run` does everything.

    The state of a run after step n depends on its configuration alone, and a resumed run
    continues with exactly the numbers of an uninterrupted one (on one device). Any number of
    processes and micro-batches takes the same steps, except for rounding.

    Raises:
        TrainingError: data is missing, the loss is NaN (the message names the files), a
            checkpoint belongs to another configuration, or the output folder is in use.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator, self.device = start_accelerator(config)
        self.precision = agree_on_precision(self.device, config.precision)
        torch.manual_seed(config.seed)
        self.model = _initial_model(config)
        halo = self.model.corruption.halo(self.model.representation)
        segments = loading.load_segments(config, self.model.representation, "train", halo)
        assert segments is not None  # listing the files raises first
        self.segments = segments
        self.held_out = loading.load_segments(config, self.model.representation, "validation", halo)
        files = self.held_out.files if self.held_out else []
        self.clip_validation = ClipValidation(config, self.model, files)
        self.model.to(self.device)
        self.average = MovingAverage(self.model, config.ema_decay)
        if sharding.sharding_requested() and self.accelerator.num_processes > 1:
            sharding.shard(self.model)
            sharding.shard(self.average.module)
            self.wrapped: Any = self.model
        else:
            self.wrapped = self.accelerator.prepare(self.model)
        self.optimizer = make_optimizer(config.optimizer, self.model, self.precision)
        self.objective = Objective(config.objective).to(self.device)
        self.critics = make_critic_optimizer(config.critic, self.objective)
        self.scheduler = LambdaLR(self.optimizer, schedule(config.optimizer, config.steps))
        self.times = TimeSampler(config.times, config.t_range)
        self.statistics, self.step, self.clips_shown = loading.DataStatistics(), 0, False
        self.trials: list[TrainingEstimate] = []
        self.term_losses: dict[str, float] = {}

    def run(self, resume: bool = True, on_step: OnTrainStep | None = None) -> None:
        """Train to the last step and write the averaged model to ``output/model``.

        Args:
            resume: continue from the newest checkpoint in ``output``, if there is one.
            on_step: called with (step, loss) after each step.
        """
        main, output = self.accelerator.is_main_process, self.config.output
        with contextlib.ExitStack() as stack:
            if main:
                stack.enter_context(run_folder.alone_in(output))
                run_folder.clear_leftovers(output)
                if not resume:
                    run_folder.set_aside_checkpoints(output)
            self.accelerator.wait_for_everyone()
            self._begin(run_folder.latest_checkpoint(output) if resume else None)
            record = self._record() if main else ""
            writer = stack.enter_context(self._open_log()) if main else None
            for segments in self.statistics.watch(self._batches()):
                self.segments.note(segments)
                loss, norm = self._train_step(segments)
                self._report(writer, loss, norm, on_step)
            model = self.averaged_model()
            if main:
                with run_folder.writing(output / "model"):
                    save_model(model, output / "model", overwrite=True, notes={RUN_NAME: record})
                self._log_statistics()

    def averaged_model(self) -> Model:
        """Return the model with averaged weights; all processes must call this.

        Where the weights are sharded, only the main process gets them.
        """
        return sharding.gather_model(self.average.module)

    def _train_step(self, segments: Sequence[Segment]) -> tuple[float, float]:
        """Take one step with this process's share of the batch; returns loss and gradient norm."""
        parts = self._micro_batches(segments)
        losses = self._backward(parts)
        total = float(self.accelerator.reduce(losses.sum()))
        limit = self.config.optimizer.max_grad_norm
        norm = _number(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        if not math.isfinite(norm):
            raise TrainingError(
                f"the gradient is {norm} at step {self.step}; the loss is {total:g}: lower the "
                "learning rate, or look at the files of this step: " + _origins(parts)
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._learn_critics()
        self.scheduler.step()
        self.average.update_parameters(self.model)
        self.step += 1
        return total, norm

    def _micro_batches(self, segments: Sequence[Segment]) -> list[MicroBatch]:
        config, parts = self.config, []
        size = len(segments) // config.accumulate
        for start in range(0, len(segments), size):
            mine = segments[start : start + size]
            generators = segment_generators(mine, config.seed)
            batch = make_batch(self.model, mine, generators, config.condition_dropout)
            t, weights = (x.to(self.device) for x in self.times.draw(generators))
            parts.append(MicroBatch(batch, t, weights, draw_noise(batch.x0, generators)))
        return parts

    def _backward(self, parts: list[MicroBatch]) -> Tensor:
        """Add the gradients of all micro-batches; returns their shares of the loss."""
        self.wrapped.train()
        # The loss is a mean over the values of the whole batch, not a mean of means.
        count = self.accelerator.reduce(torch.stack([part.batch.count for part in parts]).sum())
        losses, items, self.trials = [], [], []
        terms: dict[str, float] = {}
        for number, part in enumerate(parts):
            torch.manual_seed(self._dropout_seed(number))
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                with choose_autocast(self.device, self.precision):
                    trial = try_batch(self.wrapped, part, self.model)
                    found = item_losses(trial, part.t, self.objective)
                    items.append(torch.stack(list(found.values())).sum(dim=0))
                    loss = (part.weights * items[-1]).sum() / count.clamp(min=1)
                # Gradients are averaged over the processes, but the loss is their sum.
                self.accelerator.backward(loss * self.accelerator.num_processes)
            losses.append(loss.detach())
            if self.critics is not None:
                self.trials.append(trial.detached())
            for name, value in found.items():
                terms[name] = terms.get(name, 0.0) + float(
                    value.detach().sum() / count.clamp(min=1)
                )
        self.term_losses = terms
        self._check_losses(losses, parts)
        self._learn_times(parts, items)
        return torch.stack(losses)

    def _learn_critics(self) -> None:
        """Take one step with the parameters of the terms themselves.

        Raises:
            TrainingError: their loss is not finite.
        """
        if self.critics is None:
            return
        # The pass through the network left gradients in the critics, which do not count.
        self.critics.zero_grad(set_to_none=True)
        total = 0.0
        for trial in self.trials:
            loss = self.objective.learn(trial)
            assert loss is not None
            share = loss / len(self.trials)
            self.accelerator.backward(share)
            total += float(share.detach())
        self.trials = []
        for parameter in self.objective.parameters():
            if parameter.grad is not None:
                parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")
        if not math.isfinite(total):
            found = run_folder.latest_checkpoint(self.config.output)
            raise TrainingError(
                f"the loss of the critic is {total:g} at step {self.step}; the last good "
                f"checkpoint is {found.name if found else 'none'}: lower `critic.learning_rate` or "
                "the weight of the term, and resume"
            )
        self.critics.step()
        self.critics.zero_grad(set_to_none=True)
        self.term_losses["critic_own"] = total

    def _dropout_seed(self, part: int) -> int:
        """Return a seed for the global generator, which dropout uses, for a micro-batch."""
        place = (self.step * self.config.accumulate + part) * self.accelerator.num_processes
        return hash((self.config.seed, place + self.accelerator.process_index)) & (2**62 - 1)

    def _check_losses(self, losses: list[Tensor], parts: list[MicroBatch]) -> None:
        for loss, part in zip(torch.stack(losses).tolist(), parts, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} at step {self.step}; the batch holds: {_origins([part])}"
                )

    def _learn_times(self, parts: list[MicroBatch], items: list[Tensor]) -> None:
        """Pass the mean loss of each item, over all processes, to the sampler of times."""
        if self.config.times.kind != "by_loss":
            return
        counts = torch.cat([part.batch.counted.sum(dim=(1, 2, 3)) for part in parts])
        means = torch.cat(items).detach() / counts.clamp(min=1)
        t = self.accelerator.gather(torch.cat([part.t for part in parts]))
        self.times.learn(t, self.accelerator.gather(means))

    def _report(
        self, writer: SummaryWriter | None, loss: float, norm: float, on_step: OnTrainStep | None
    ) -> None:
        """Log, validate and write a checkpoint in the steps in which each is due."""
        config, last = self.config, self.step == self.config.steps
        if on_step is not None and writer is not None:
            on_step(self.step, loss)
        if writer is not None and (self.step % config.log_every == 0 or last):
            terms = {f"loss/train/{name}": value for name, value in self.term_losses.items()}
            self._write_scalars(writer, {"loss/train": loss, "gradient_norm": norm} | terms)
        if self.held_out and (self.step % config.validate_every == 0 or last):
            model = self.averaged_model()
            if writer is not None:
                self._validate(writer, model.to(self.device))
        if self.step % config.checkpoint_every == 0 or last:
            state = self._state()
            if writer is not None:
                run_folder.write_checkpoint(
                    state, config.output, self.step, config.keep_checkpoints
                )

    def _write_scalars(self, writer: SummaryWriter, values: dict[str, float]) -> None:
        values = values | {
            "learning_rate": float(self.scheduler.get_last_lr()[0]),
            "data/unreadable": len(self.segments.unreadable),
            "data/padded": self.statistics.padded,
            "data/quiet": self.statistics.quiet,
            "data/wait_share": self.statistics.wait_share,
        }
        for name, value in values.items():
            writer.add_scalar(name, value, self.step)

    def _validate(self, writer: SummaryWriter, model: Model) -> None:
        """Measure the averaged model and write examples of what it restores."""
        assert self.held_out is not None
        config, processes = self.config, self.accelerator.num_processes
        segments = [self.held_out[i] for i in range(config.batch_size)]
        size = config.batch_size // (processes * config.accumulate)
        losses = losses_by_time(model, segments, config.seed, size, self.precision)
        for name, value in losses.items():
            writer.add_scalar(f"loss/validation/{name}", value, self.step)
        examples = self.clip_validation.run(model, self.device, self.precision)
        means = write_examples(writer, examples, self.step, first=not self.clips_shown)
        self.clips_shown = True
        log.info("step %d validation: %s", self.step, losses | means)

    def _log_statistics(self) -> None:
        data = self.statistics
        log.info(
            "waited for data %.1f %% of %.0f s; of %d segments %d were padded with silence; "
            "%d quiet draws were refused; %d files could not be used",
            100 * data.wait_share,
            data.total_s,
            data.segments,
            data.padded,
            data.quiet,
            len(self.segments.unreadable),
        )

    def _batches(self) -> Iterator[list[Segment]]:
        """Return the batches of this process from the current step on."""
        steps = range(self.step, self.config.steps)
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        sampler = loading.SegmentSampler(steps, self.config.batch_size, processes, rank)
        return loading.load_batches(self.segments, sampler, self.config.data.workers)

    def _begin(self, checkpoint: Path | None) -> None:
        """Resume from a checkpoint, or start."""
        if checkpoint is not None:
            self._load(run_folder.read_checkpoint(checkpoint, self.config))
            log.info("resumed from %s at step %d", checkpoint, self.step)
        elif self.config.init_from is None:
            self._fit_statistics()
        log.info("training on %s in %s", self.device, self.precision)

    def _fit_statistics(self) -> None:
        """Fit the statistics of the prediction to the first segments."""
        count = min(self.config.statistics_segments, len(self.segments))
        waves = torch.stack([self.segments[i].wave for i in range(count)]).to(self.device)
        with torch.no_grad():
            self.model.prediction.fit(self.model.representation.encode(waves.flatten(0, -2)))
        self.average.module.prediction.load_state_dict(self.model.prediction.state_dict())

    def _open_log(self) -> SummaryWriter:
        """Open the TensorBoard log; what an interrupted run wrote after its checkpoint is void."""
        folder = str(self.config.output / "tensorboard")
        return SummaryWriter(folder, purge_step=self.step + 1 if self.step else None)

    def _record(self) -> str:
        """Write the record of the run into its folder, and return its text."""
        path = self.config.output / RUN_NAME
        with run_folder.writing(path):
            return write_record(
                path,
                self.config,
                self.segments.files,
                step=self.step,
                processes=self.accelerator.num_processes,
                device=str(self.device),
                precision=self.precision,
            )

    def _state(self) -> dict[str, Any]:
        """Return what a checkpoint holds; all processes must call this."""
        return {
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "precision": self.precision,
            "scheduler": self.scheduler.state_dict(),
            "times": self.times.means,
            "objective": self.objective.state_dict(),
            "critics": None if self.critics is None else self.critics.state_dict(),
            **sharding.gather_state(self.model, self.average, self.optimizer),
        }

    def _load(self, state: dict[str, Any]) -> None:
        if self.config.precision == "auto":
            self.precision = state["precision"]
        self.step = state["step"]
        sharding.load_state(self.model, self.average, self.optimizer, state)
        self.scheduler.load_state_dict(state["scheduler"])
        self.times.means = state["times"]
        if self.critics is not None:
            self.objective.load_state_dict(state["objective"])
            self.critics.load_state_dict(state["critics"])


def _initial_model(config: TrainConfig) -> Model:
    """Make the model, with the weights of ``init_from`` if that is given."""
    model = Model(config.model)
    if config.init_from is not None:
        earlier = load_model(config.init_from)
        weights = earlier.backbone.state_dict()
        try:
            if isinstance(model.backbone, WideningBackbone):
                weights = model.backbone.widened(weights)
            model.backbone.load_state_dict(weights)
            model.prediction.load_state_dict(earlier.prediction.state_dict())
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"the weights of init_from {config.init_from} do not fit this model: {error}"
            ) from error
    return model


def _number(norm: Tensor) -> float:
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _origins(parts: list[MicroBatch]) -> str:
    return "; ".join(origin for part in parts for origin in part.batch.origins)
