"""Validation of a model in training: its loss at fixed times, and clips that it restores."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib
import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from a2sb_core.config.run import VALIDATION_TASKS, TrainConfig
from a2sb_core.engine.evaluation import load_measures
from a2sb_core.engine.model import Model
from a2sb_core.engine.objective import batch_loss, degrade, draw_noise, generators
from a2sb_core.engine.protocols import Protocol, load_protocols
from a2sb_core.engine.restorer import Restorer
from a2sb_core.engine.segments import Segment
from a2sb_core.engine.sources import Source
from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.interfaces import Outcome

log = logging.getLogger(__name__)

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
N_FFT, HOP, RANGE_DB = 1024, 256, 80.0


@dataclass(frozen=True)
class Clip:
    """A stretch of a validation file: mono ``wave`` (1, T)."""

    name: str
    wave: Tensor
    sample_rate: int


@dataclass(frozen=True)
class Example:
    """A clip that was damaged and restored, and what the metrics say of both."""

    task: str
    clip: Clip
    degraded: Tensor
    restored: Tensor
    before: dict[str, float]
    after: dict[str, float]


def losses_by_time(
    model: Model, segments: Sequence[Segment], seed: int, at_once: int,
    autocast: Callable[[], AbstractContextManager[object]],
) -> dict[str, float]:
    """Return the loss of a model at fixed times, with fixed damage and noise.

    ``at_once`` segments are computed together; the loss is that of all of them.
    """
    sums, count = dict.fromkeys(TIMES, 0.0), 0.0
    for start in range(0, len(segments), at_once):
        part = segments[start : start + at_once]
        draws = generators(part, seed)
        with torch.no_grad(), autocast():
            batch = degrade(model, list(part), draws)
            noise, one = draw_noise(batch.x0, draws), torch.ones_like(batch.count)
            for time in TIMES:
                t = torch.full((len(batch.x0),), time, device=batch.x0.device)
                sums[time] += float(batch_loss(model, batch, t, noise, model.bridge, one))
        count += float(batch.count)
    return {f"t={time}": total / max(1.0, count) for time, total in sums.items()}


class Restoration:
    """Clips of the validation files, damaged by protocols, restored and measured.

    Raises:
        ConfigError: a task is unknown, or the model does not serve it.
        A2SBError: a metric is unknown or can not run here.
    """

    def __init__(self, config: TrainConfig, model: Model, sources: Sequence[Source]) -> None:
        self.config, self.sources = config, sources
        self.protocols = _protocols(config.validation.tasks, model)
        self.measures = load_measures(config.validation.metrics)
        self._clips: list[Clip] | None = None
        self._told: set[str] = set()

    @property
    def clips(self) -> list[Clip]:
        """The clips, read once; files that can not be read are named in the log and left out."""
        if self._clips is None:
            self._clips = []
            for source in self.sources:
                if len(self._clips) == self.config.validation.clips:
                    break
                try:
                    self._clips.append(_read(source, self.config.validation.clip_s))
                except (soundfile.LibsndfileError, OSError, ValueError) as error:
                    log.warning("validation file skipped: %s: %s", source.path, error)
        return self._clips

    def run(self, model: Model, device: torch.device) -> list[Example]:
        """Restore all clips; what one protocol can not do to one of them is told and left out."""
        restorer = Restorer(model, str(device), self.config.precision)
        examples = []
        for protocol in self.protocols:
            for clip in self.clips:
                try:
                    examples.append(self._example(restorer, protocol, clip))
                except A2SBError as error:
                    self._tell(f"validation: {clip.name}, {protocol.name}: left out: {error}")
        return examples

    def _tell(self, problem: str) -> None:
        """Warn once of what comes again at every validation."""
        if problem not in self._told:
            self._told.add(problem)
            log.warning(problem)

    def _example(self, restorer: Restorer, protocol: Protocol, clip: Clip) -> Example:
        rate, seed = clip.sample_rate, self.config.seed
        damaged = protocol.damage(clip.wave, rate, clip.name, seed)
        restored = restorer.restore(
            damaged.wave, rate, task=protocol.task, steps=self.config.validation.steps,
            seed=seed, output_rate=rate, **damaged.parameters,
        )
        before, after = (
            self._measure(Outcome(clip.wave, wave, rate, protocol.task, damaged.parameters))
            for wave in (damaged.wave, restored)
        )
        return Example(protocol.name, clip, damaged.wave, restored, before, after)

    def _measure(self, outcome: Outcome) -> dict[str, float]:
        values = {m.label: m.metric.judge(outcome) for m in self.measures}
        return {label: v for label, v in values.items() if v is not None and math.isfinite(v)}


def show(
    writer: SummaryWriter, examples: Sequence[Example], step: int, first: bool
) -> dict[str, float]:
    """Write metrics, audio and spectrograms to TensorBoard; returns the means over the clips.

    ``first``: the truth and the degraded clips, which stay the same, are written too.
    """
    means = {}
    for task in dict.fromkeys(example.task for example in examples):
        mine = [example for example in examples if example.task == task]
        for which, found in (
            ("degraded", [e.before for e in mine]), ("restored", [e.after for e in mine])
        ):
            for label in dict.fromkeys(label for values in found for label in values):
                mean = float(np.mean([values[label] for values in found if label in values]))
                writer.add_scalar(f"{task}/{label}/{which}", mean, step)
                means[f"{task} {label} {which}"] = mean
    for example in examples:
        _show_clip(writer, example, step, first)
    return means


def _show_clip(writer: SummaryWriter, example: Example, step: int, first: bool) -> None:
    clip, place = example.clip, f"{example.task}/{example.clip.name}"
    waves = {"truth": clip.wave, "degraded": example.degraded, "restored": example.restored}
    for name, wave in waves.items():
        if first or name == "restored":
            writer.add_audio(f"{place}/{name}", wave[0].clamp(-1, 1), step, clip.sample_rate)
    picture = spectrograms(list(waves.values()))
    writer.add_image(f"{place}/truth, degraded, restored", picture, step)


def spectrograms(waves: Sequence[Tensor]) -> Tensor:
    """Draw mono audio (1, T) side by side on one colour scale, (3, rows, frames), 0 to 1."""
    window = torch.hann_window(N_FFT)
    powers = [
        torch.stft(w[0].float(), N_FFT, HOP, window=window, return_complex=True,
                   pad_mode="constant").abs().square()
        for w in waves
    ]
    levels = [10 * power.clamp(min=1e-12).log10() for power in powers]
    top = max(float(level.max()) for level in levels)
    joined = torch.cat(levels, dim=1).flip(0)
    shade = ((joined - top) / RANGE_DB + 1).clamp(0, 1).numpy()
    colours = matplotlib.colormaps["magma"](shade)[..., :3]
    return torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1), dtype=np.float32))


def _protocols(tasks: tuple[str, ...] | None, model: Model) -> list[Protocol]:
    """Find the protocols of a configuration, or those of the default that the model serves."""
    served = model.corruption.tasks()
    if tasks is None:
        return [p for p in load_protocols(VALIDATION_TASKS) if p.task in served]
    protocols = load_protocols(tasks)
    for protocol in protocols:
        if protocol.task not in served:
            raise ConfigError(
                f"validation.tasks: `{protocol.name}` asks for the task {protocol.task}, and the "
                f"model is trained for {', '.join(served)}"
            )
    return protocols


def _read(source: Source, seconds: float) -> Clip:
    """Read a stretch from the middle of a file, the mean of its channels."""
    with soundfile.SoundFile(source.path) as file:
        wanted = min(file.frames, round(seconds * file.samplerate))
        file.seek((file.frames - wanted) // 2)
        audio = file.read(wanted, dtype="float32", always_2d=True)
        rate = file.samplerate
    if not len(audio) or not np.isfinite(audio).all():
        raise ValueError("the file holds no audio, or NaN or infinite samples")
    return Clip(source.path.stem, torch.from_numpy(audio.mean(axis=1))[None], rate)
