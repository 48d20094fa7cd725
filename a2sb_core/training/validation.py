"""Validation of a model in training: its loss at fixed times, and clips that it restores."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import torch
from matplotlib.image import imread
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.config.training import TrainConfig
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.evaluation.metrics import load_metrics
from a2sb_core.evaluation.protocols import (
    NamedProtocol,
    audio_for_model,
    load_protocols,
    typical_protocols,
)
from a2sb_core.interfaces import Outcome
from a2sb_core.models.model import Model
from a2sb_core.plotting.spectrograms import spectrogram_figure
from a2sb_core.restoration.damage import used_only
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.training.data.segments import Segment
from a2sb_core.training.data.sources import TrainingFile
from a2sb_core.training.objective import try_batch
from a2sb_core.training.training_batch import MicroBatch, draw_noise, make_batch, segment_generators

log = logging.getLogger(__name__)

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True)
class ValidationClip:
    """A stretch of a validation file, ``wave`` (C, T); C channels are restored together."""

    name: str
    wave: Tensor
    sample_rate: int


@dataclass(frozen=True)
class RestoredExample:
    """A clip that a protocol damaged and the model restored, with metrics before and after."""

    protocol: str
    clip: ValidationClip
    degraded: Tensor
    restored: Tensor
    before: dict[str, float]
    after: dict[str, float]


def losses_by_time(
    model: Model, segments: Sequence[Segment], seed: int, size: int, precision: str
) -> dict[str, float]:
    """Return the mean loss of a model over segments at fixed times, with fixed damage and noise.

    ``size`` segments are computed together.
    """
    sums, count = dict.fromkeys(TIMES, 0.0), 0.0
    for start in range(0, len(segments), size):
        part = segments[start : start + size]
        generators = segment_generators(part, seed)
        device = next(model.parameters()).device
        with torch.no_grad(), choose_autocast(device, precision):
            batch = make_batch(model, part, generators)
            noise, ones = draw_noise(batch.x0, generators), torch.ones(len(part), device=device)
            for time in TIMES:
                micro_batch = MicroBatch(batch, time * ones, ones, noise)
                errors = try_batch(model, micro_batch, model).errors.float()
                sums[time] += float((errors * batch.counted).sum())
        count += float(batch.count)
    return {f"t={time}": total / max(1.0, count) for time, total in sums.items()}


class ClipValidation:
    """Damages clips of the validation files by protocols, and restores and measures them.

    Raises:
        ConfigError: a protocol is unknown, or the model does not serve its task.
        A2SBError: a metric is unknown or cannot run here.
    """

    def __init__(self, config: TrainConfig, model: Model, files: Sequence[TrainingFile]) -> None:
        self.config, self.files = config, files
        self.protocols = _protocols(config.validation.tasks, model)
        self.measures = load_metrics(config.validation.metrics)
        self.audio_channels = model.representation.audio_channels
        self._reported: set[str] = set()

    @cached_property
    def clips(self) -> list[ValidationClip]:
        """The clips; unreadable files are reported in the log and left out."""
        clips: list[ValidationClip] = []
        for file in self.files:
            if len(clips) == self.config.validation.clips:
                break
            try:
                clips.append(_read(file.path, self.config.validation.clip_s, self.audio_channels))
            except (soundfile.LibsndfileError, OSError, ValueError) as error:
                log.warning("validation file skipped: %s: %s", file.path, error)
        return clips

    def run(self, model: Model, device: torch.device, precision: str) -> list[RestoredExample]:
        """Restore all clips; clips that a protocol does not fit are reported and left out."""
        restorer = Restorer(model, str(device), precision)
        examples = []
        for protocol in self.protocols:
            for clip in self.clips:
                try:
                    examples.append(self._example(restorer, protocol, clip))
                except A2SBError as error:
                    self._warn(f"validation: {clip.name}, {protocol.name}: left out: {error}")
        return examples

    def _warn(self, problem: str) -> None:
        """Warn once of a problem that every validation meets again."""
        if problem not in self._reported:
            self._reported.add(problem)
            log.warning(problem)

    def _example(
        self, restorer: Restorer, protocol: NamedProtocol, clip: ValidationClip
    ) -> RestoredExample:
        rate, seed, model = clip.sample_rate, self.config.seed, restorer.model
        damaged = protocol.damage(clip.wave, rate, clip.name, seed)
        corruption = model.corruption.for_task(protocol.task)
        restored = restorer.restore(
            audio_for_model(damaged, corruption),
            rate,
            task=protocol.task,
            steps=self.config.validation.steps,
            seed=seed,
            output_rate=rate,
            **used_only(corruption, model.uses(corruption), damaged.parameters),
        )
        before, after = (
            self._measure(Outcome(clip.wave, wave, rate, protocol.task, damaged.parameters))
            for wave in (damaged.wave, restored)
        )
        return RestoredExample(protocol.name, clip, damaged.wave, restored, before, after)

    def _measure(self, outcome: Outcome) -> dict[str, float]:
        values = {m.label: m.metric.judge(outcome) for m in self.measures}
        return {label: v for label, v in values.items() if v is not None and math.isfinite(v)}


def write_examples(
    writer: SummaryWriter, examples: Sequence[RestoredExample], step: int, first: bool
) -> dict[str, float]:
    """Write metrics, audio and spectrograms to TensorBoard; returns the means over the clips.

    With ``first``, the clean and the degraded clips are written too: they never change.
    """
    found: dict[str, list[float]] = {}
    for example in examples:
        for which, values in (("degraded", example.before), ("restored", example.after)):
            for label, value in values.items():
                found.setdefault(f"{example.protocol}/{label}/{which}", []).append(value)
        _write_clip(writer, example, step, first)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    for name, mean in means.items():
        writer.add_scalar(name, mean, step)
    return means


def _write_clip(writer: SummaryWriter, example: RestoredExample, step: int, first: bool) -> None:
    clip, place = example.clip, f"{example.protocol}/{example.clip.name}"
    waves = {"truth": clip.wave, "degraded": example.degraded, "restored": example.restored}
    for name, wave in waves.items():
        if first or name == "restored":
            writer.add_audio(f"{place}/{name}", wave[0].clamp(-1, 1), step, clip.sample_rate)
    picture = _draw(place, waves, clip.sample_rate)
    writer.add_image(f"{place}/spectrograms", picture, step, dataformats="HWC")


def _draw(title: str, waves: Mapping[str, Tensor], sample_rate: int) -> FloatArray:
    """Return spectrograms side by side as an image (height, width, 4)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spectrograms.png"
        panels = [(name, wave.float().numpy()) for name, wave in waves.items()]
        spectrogram_figure(path, title, panels, sample_rate)
        image: FloatArray = imread(path)
        return image


def _protocols(names: Sequence[str] | None, model: Model) -> list[NamedProtocol]:
    """Find the protocols of a configuration, by default typical ones of the model's tasks."""
    served = model.corruption.tasks()
    if names is None:
        return typical_protocols(served)
    protocols = load_protocols(names)
    for protocol in protocols:
        if protocol.task not in served:
            raise ConfigError(
                f"validation.tasks: `{protocol.name}` is a protocol of the task {protocol.task}, "
                f"but the model is trained for {', '.join(served)}"
            )
    return protocols


def _read(path: Path, seconds: float, channels: int) -> ValidationClip:
    """Read a stretch from the middle of a file: all channels, or for 1 their mean."""
    with soundfile.SoundFile(path) as file:
        wanted = min(file.frames, round(seconds * file.samplerate))
        file.seek((file.frames - wanted) // 2)
        audio = file.read(wanted, dtype="float32", always_2d=True)
        rate = file.samplerate
    if not len(audio) or not np.isfinite(audio).all():
        raise ValueError("the file holds no audio, or NaN or infinite samples")
    if channels not in (1, audio.shape[1]):
        raise ValueError(f"it has {audio.shape[1]} channels, and the model restores {channels}")
    wave = audio.T if channels > 1 else audio.mean(axis=1)[None]
    return ValidationClip(path.stem, torch.from_numpy(np.ascontiguousarray(wave)), rate)
