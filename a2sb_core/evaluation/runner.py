"""Evaluation: compares systems on clips that are damaged by protocols."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.common.files import file_hash
from a2sb_core.common.text import slug
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import A2SBError, AudioError, ConfigError, TaskError
from a2sb_core.evaluation.clips import ClipFile, list_clips
from a2sb_core.evaluation.metrics import NamedMetric, load_metrics
from a2sb_core.evaluation.profiles import histograms, profile
from a2sb_core.evaluation.protocols import NamedProtocol, load_protocols
from a2sb_core.evaluation.results import Result, ResultStore, fingerprint
from a2sb_core.evaluation.systems import System, SystemOutput, load_systems
from a2sb_core.interfaces import Damaged, Outcome
from a2sb_core.plugins.code_digests import check_plugin_code

RESULTS_VERSION = 1
"""Raised when the same settings lead to other values, so that old results are not used again."""

OnResult = Callable[[int, int, str], None]
Place = tuple[str, str, str]
"""Names of a clip, a task and a system."""
Finished = tuple["Trial", Result | None, list["EvaluationFailure"]]
"""A trial, its result where there is one, and what failed."""


@dataclass(frozen=True)
class Trial:
    """One restoration to do.

    Attributes:
        clip: index of the clip in the :class:`Evaluation`.
        protocol: index of the protocol.
        system: index of the system.
        key: fingerprint of the result.
        missing: keys of the metrics that earlier runs have not computed.
        audio: file that takes the restored audio; None: it is not kept.
    """

    clip: int
    protocol: int
    system: int
    key: str
    missing: tuple[str, ...]
    audio: Path | None

    @property
    def is_wanted(self) -> bool:
        """Whether anything has to be computed."""
        return bool(self.missing) or (self.audio is not None and not self.audio.is_file())


@dataclass(frozen=True)
class EvaluationFailure:
    """Failure of one restoration, or of one metric of it."""

    clip: str
    task: str
    system: str
    reason: str

    def __str__(self) -> str:
        return f"{self.clip}, {self.task}, {self.system}: {self.reason}"


@dataclass
class EvaluationReport:
    """All results of an evaluation; clips, tasks and systems are in the order of the configuration.

    Attributes:
        clips: names.
        tasks: names of the protocols.
        systems: labels.
        metrics: the metrics that were computed.
        reference: the system that the others are compared with.
        seed: random seed of the bootstrap intervals.
        results: by (clip, task, system); failed restorations have none.
        failures: failures of this run.
        audio: files of the restored audio that was kept, by (clip, task, system).
        clean: files of the clean audio of the same clips, by clip.
        computed: number of restorations that were not taken from earlier runs.
    """

    clips: list[str]
    tasks: list[str]
    systems: list[str]
    metrics: list[NamedMetric]
    reference: str
    seed: int = 0
    results: dict[Place, Result] = field(default_factory=dict)
    failures: list[EvaluationFailure] = field(default_factory=list)
    audio: dict[Place, Path] = field(default_factory=dict)
    clean: dict[str, Path] = field(default_factory=dict)
    computed: int = 0

    def in_order(self) -> Iterator[tuple[Place, Result]]:
        """Yield the results of restored clips, by clip, task and system."""
        for clip in self.clips:
            for task in self.tasks:
                for system in self.systems:
                    result = self.results.get((clip, task, system))
                    if result is not None and not result.skipped:
                        yield (clip, task, system), result

    def restored(self, task: str, system: str) -> list[Result]:
        """Return the results of the clips that a system restored, in order."""
        return [result for place, result in self.in_order() if place[1:] == (task, system)]

    def skipped(self) -> list[str]:
        """Return a line for each task that a system does not do, with the reason."""
        lines = (
            f"{task}, {system}: {result.skipped}"
            for (_, task, system), result in self.results.items()
            if result.skipped
        )
        return list(dict.fromkeys(lines))


class Evaluation:
    """Systems, protocols, clips and metrics of an evaluation, checked before anything is computed.

    Raises:
        A2SBError: one of them is unknown or cannot run, or there is no audio.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.protocols = load_protocols(config.tasks, config.protocols)
        self.metrics = load_metrics(config.metrics)
        self.systems = load_systems(config)
        self.clips = list_clips(config)
        labels = [system.label for system in self.systems]
        if config.reference not in labels:
            raise ConfigError(
                f"the reference `{config.reference}` is none of the systems: {', '.join(labels)}"
            )

    def run(self, on_result: OnResult | None = None, keep_clips: int = 0) -> EvaluationReport:
        """Compute what earlier runs have not; each result is kept as soon as it is there.

        Args:
            on_result: called with (done, total, description) after each restoration.
            keep_clips: number of clips whose restored audio is written even without
                ``keep_audio``.

        Raises:
            A2SBError: a worker process died, or the code of a plugin changed meanwhile.
        """
        store = ResultStore(self.config.output / "results.jsonl", self.config.fresh)
        trials = self._trials(store, keep_clips)
        report = EvaluationReport(
            [clip.name for clip in self.clips],
            [protocol.name for protocol in self.protocols],
            [system.label for system in self.systems],
            self.metrics,
            self.config.reference,
            self.config.seed,
        )
        wanted = [trial for trial in trials if trial.is_wanted]
        for count, (trial, result, failures) in enumerate(self._work(wanted), 1):
            check_plugin_code()  # a worker that started later would have another
            if result is not None:
                earlier = store.get(trial.key)
                values = {**(earlier.values if earlier else {}), **result.values}
                store.add(replace(result, values=values))
            report.failures += failures
            if on_result is not None:
                on_result(count, len(wanted), ", ".join(self._place(trial)[1:]))
        report.computed = len(wanted)
        for trial in trials:
            place = self._place(trial)
            if (known := store.get(trial.key)) is not None:
                report.results[place] = known
            if trial.audio and trial.audio.is_file():
                report.audio[place] = trial.audio
                if place[0] not in report.clean:
                    report.clean[place[0]] = self._keep_clean(self.clips[trial.clip])
        return report

    def execute(self, trial: Trial) -> Finished:
        """Damage, restore and measure; failures are returned, not raised."""
        protocol, place = self.protocols[trial.protocol], self._place(trial)
        try:
            truth, damaged, rate = self.damage(self.clips[trial.clip], protocol)
            started = time.perf_counter()
            try:
                output = self._restore(self.systems[trial.system], damaged, rate, protocol.task)
            except TaskError as error:
                return trial, Result(trial.key, *place, skipped=str(error)), []
            seconds = time.perf_counter() - started
            if trial.audio:
                trial.audio.parent.mkdir(parents=True, exist_ok=True)
                files.write(trial.audio, output.wave.numpy(), rate, overwrite=True)
        except Exception as error:  # a system may fail in any way; the others go on
            return trial, None, [EvaluationFailure(*place, _reason(error))]
        outcome = Outcome(
            truth,
            output.wave,
            rate,
            protocol.task,
            damaged.parameters,
            output.diagnostics,
            self.clips[trial.clip].columns,
        )
        values, failures = self._measure(trial, outcome)
        marks = damaged.marks
        result = Result(
            trial.key,
            *place,
            values=values,
            audio_s=truth.shape[-1] / rate,
            seconds=seconds,
            sample_rate=rate,
            profile=profile(outcome.estimate, rate, marks.stretches_s),
            true_profile=profile(truth, rate, marks.stretches_s),
            histograms=histograms(
                outcome.diagnostics, min(marks.frequencies_hz, default=0.0), rate
            ),
        )
        return trial, result, failures

    def damage(self, clip: ClipFile, protocol: NamedProtocol) -> tuple[Tensor, Damaged, int]:
        """Read a clip and damage it: the truth (C, T), the damaged clip, the sample rate in Hz.

        Raises:
            AudioError: the clip cannot be read, or the protocol does not fit it.
        """
        truth, rate = self._read(clip)
        try:
            damaged = protocol.damage(truth, rate, clip.name, self.config.seed)
        except TaskError as error:
            raise AudioError(str(error)) from error  # the clip's fault, not the system's
        return truth, damaged, rate

    def _read(self, clip: ClipFile) -> tuple[Tensor, int]:
        wave, info = files.read(clip.path)
        files.check_finite(wave, clip.name, sample_rate=info.sample_rate)
        if self.config.channels == "mono":
            wave = wave.mean(axis=0, keepdims=True)
        return torch.from_numpy(np.ascontiguousarray(wave)), info.sample_rate

    def _keep_clean(self, clip: ClipFile) -> Path:
        """Write the clean audio of a clip beside the restored one, and return its path."""
        key = fingerprint(file_hash(clip.path), self.config.channels)
        path = self.config.output / "audio" / "clean" / f"{_stem(clip.name)}.{key[:8]}.flac"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            truth, rate = self._read(clip)
            files.write(path, truth.numpy(), rate, overwrite=True)
        return path

    def _restore(self, system: System, damaged: Damaged, rate: int, task: str) -> SystemOutput:
        output = system.restore(replace(damaged, wave=damaged.wave.clone()), rate, task)
        if output.wave.shape != damaged.wave.shape:
            raise AudioError(
                f"it returned audio of shape {tuple(output.wave.shape)} for "
                f"{tuple(damaged.wave.shape)}"
            )
        if not bool(torch.isfinite(output.wave).all()):
            raise AudioError("it returned audio with NaN or infinite samples")
        return replace(output, wave=output.wave.detach().cpu().float())

    def _measure(
        self, trial: Trial, outcome: Outcome
    ) -> tuple[dict[str, float | None], list[EvaluationFailure]]:
        values: dict[str, float | None] = {}
        failures = []
        for metric in self.metrics:
            if metric.key not in trial.missing:
                continue
            try:
                value = metric.metric.judge(outcome)
            except Exception as error:  # a metric may fail in any way; the others go on
                reason = f"{metric.label}: {_reason(error)}"
                failures.append(EvaluationFailure(*self._place(trial), reason))
                continue
            values[metric.key] = value if value is not None and math.isfinite(value) else None
        return values, failures

    def _trials(self, store: ResultStore, keep_clips: int) -> list[Trial]:
        """List all trials, system by system, so that each worker loads a model once."""
        hashes = [clip.digest for clip in self.clips]
        return [
            self._trial(c, p, s, hashes[c], store, self.config.keep_audio or c < keep_clips)
            for s in range(len(self.systems))
            for p in range(len(self.protocols))
            for c in range(len(self.clips))
        ]

    def _trial(
        self, c: int, p: int, s: int, clip_hash: str, store: ResultStore, keep: bool
    ) -> Trial:
        clip, protocol, system = self.clips[c], self.protocols[p], self.systems[s]
        key = fingerprint(
            RESULTS_VERSION,
            clip_hash,
            clip.name,
            self.config.channels,
            self.config.seed,
            protocol.name,
            protocol.identity,
            system.identity,
        )
        known = store.get(key)
        if known is not None and known.skipped:
            return Trial(c, p, s, key, (), None)
        measured = known.values if known else {}
        missing = tuple(metric.key for metric in self.metrics if metric.key not in measured)
        name = f"{_stem(clip.name)}.{key[:8]}.flac"
        parts = ("audio", slug(protocol.name), slug(system.label), name)
        return Trial(c, p, s, key, missing, self.config.output.joinpath(*parts) if keep else None)

    def _place(self, trial: Trial) -> Place:
        return (
            self.clips[trial.clip].name,
            self.protocols[trial.protocol].name,
            self.systems[trial.system].label,
        )

    def _work(self, trials: list[Trial]) -> Iterator[Finished]:
        count = min(self.config.jobs, len(trials))
        if count <= 1:
            yield from map(self.execute, trials)
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(count, context, _start_worker, (self.config,))
        try:
            pending: list[Future[Finished]] = [pool.submit(_execute, one) for one in trials]
            for future in as_completed(pending):
                yield future.result()
        except BrokenProcessPool as error:
            raise A2SBError(
                "a worker process died, perhaps because memory ran out: run again with fewer than "
                f"--jobs {count}; finished results are kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: Evaluation


def _start_worker(config: EvaluateConfig) -> None:
    global _worker
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // config.jobs))
    _worker = Evaluation(config)


def _execute(trial: Trial) -> Finished:
    return _worker.execute(trial)


def _stem(clip: str) -> str:
    return slug(str(Path(clip).with_suffix("")))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, A2SBError) else f"{type(error).__name__}: {text}"
