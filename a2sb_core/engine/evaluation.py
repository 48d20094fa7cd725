"""Evaluation: systems side by side on clips that are damaged by protocols."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.config.evaluate import METRICS, EvaluateConfig, Spec, parse_spec
from a2sb_core.config.load import validate
from a2sb_core.engine.clips import Clip, list_clips
from a2sb_core.engine.profiles import phase_histogram, profile
from a2sb_core.engine.protocols import Damaged, Protocol, load_protocols
from a2sb_core.engine.results import Result, Results, fingerprint
from a2sb_core.engine.systems import DEGRADED, Restored, System, file_hash, load_systems
from a2sb_core.errors import A2SBError, AudioError, ConfigError, TaskError
from a2sb_core.interfaces import Metric, Outcome
from a2sb_core.plugins import default_registry

log = logging.getLogger(__name__)

RESULTS_VERSION = 1
"""Raised when the same settings come to other values: old ones are then not used again."""

OnResult = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Measure:
    """A metric of an evaluation: label in tables, key in results."""

    label: str
    key: str
    metric: Metric


@dataclass(frozen=True)
class Job:
    """One restoration: places of its parts in :class:`Evaluation`, and what to do with it."""

    clip: int
    protocol: int
    system: int
    key: str
    missing: tuple[str, ...]
    audio: Path | None


@dataclass(frozen=True)
class Failure:
    """What went wrong with one restoration, or with one metric of it."""

    clip: str
    task: str
    system: str
    reason: str

    def __str__(self) -> str:
        return f"{self.clip}, {self.task}, {self.system}: {self.reason}"


@dataclass(frozen=True)
class Done:
    """A finished job: a result, or none, and what failed."""

    job: Job
    result: Result | None
    failures: tuple[Failure, ...] = ()


@dataclass
class Report:
    """All that was found, in the order clips, tasks, systems were asked for.

    Attributes:
        results: by (clip, task, system); None where the restoration failed.
        failures: what failed now.
        computed: restorations that were not taken from earlier runs.
    """

    clips: list[str]
    tasks: list[str]
    systems: list[str]
    measures: list[Measure]
    results: dict[tuple[str, str, str], Result] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    audio: dict[tuple[str, str, str], Path] = field(default_factory=dict)
    computed: int = 0


class Evaluation:
    """Systems, protocols, clips and metrics, found and checked; nothing is computed yet.

    Raises:
        A2SBError: one of them is unknown, can not run, or there is no audio.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.protocols = load_protocols(config.tasks, config.protocols)
        self.measures = load_measures(config.metrics)
        self.systems = load_systems(config)
        self.clips = list_clips(config)
        labels = [system.label for system in self.systems]
        if config.reference not in labels:
            raise ConfigError(
                f"the reference `{config.reference}` is none of the systems: {', '.join(labels)}"
            )

    def run(self, on_result: OnResult | None = None, keep_clips: int = 0) -> Report:
        """Compute what earlier runs have not; results are kept as they come.

        Args:
            on_result: called with (done, of, what) after each restoration.
            keep_clips: so many clips' restored audio is written even without ``keep_audio``.

        Raises:
            A2SBError: a worker process died.
        """
        store = Results(self.config.output / "results.jsonl", self.config.fresh)
        jobs = self._jobs(store, keep_clips)
        report = Report(
            [clip.name for clip in self.clips], [protocol.name for protocol in self.protocols],
            [system.label for system in self.systems], self.measures,
        )
        wanted = [job for job in jobs if job.missing or (job.audio and not job.audio.is_file())]
        for count, done in enumerate(self._work(wanted), 1):
            if done.result is not None:
                earlier = store.get(done.job.key)
                values = {**(earlier.values if earlier else {}), **done.result.values}
                store.add(replace(done.result, values=values))
            report.failures += done.failures
            if on_result is not None:
                on_result(count, len(wanted), self._name(done.job))
        report.computed = len(wanted)
        for job in jobs:
            place = self._place(job)
            if (result := store.get(job.key)) is not None:
                report.results[place] = result
            if job.audio and job.audio.is_file():
                report.audio[place] = job.audio
        return report

    def execute(self, job: Job) -> Done:
        """Damage, restore and measure; what goes wrong is told, not raised."""
        clip, protocol = self.clips[job.clip], self.protocols[job.protocol]
        place = self._place(job)
        try:
            truth, damaged, rate = self.damage(clip, protocol)
            started = time.perf_counter()
            try:
                restored = self._restored(self.systems[job.system], damaged, rate, protocol.task)
            except TaskError as error:
                return Done(job, Result(job.key, *place, skipped=str(error)))
            seconds = time.perf_counter() - started
            if job.audio:
                job.audio.parent.mkdir(parents=True, exist_ok=True)
                files.write(job.audio, restored.wave.float().numpy(), rate, overwrite=True)
        except Exception as error:  # any system may fail in any way: others go on
            return Done(job, None, (Failure(*place, _told(error)),))
        outcome = Outcome(
            truth, restored.wave, rate, protocol.task, damaged.parameters,
            restored.residual, restored.residual_hz,
        )
        values, failures = self._measured(job, outcome)
        result = Result(
            job.key, *place, values=values, audio_s=truth.shape[-1] / rate, seconds=seconds,
            sample_rate=rate, profile=profile(outcome.estimate, rate, damaged.parameters),
            true_profile=profile(truth, rate, damaged.parameters), phase=phase_histogram(outcome),
        )
        return Done(job, result, failures)

    def damage(self, clip: Clip, protocol: Protocol) -> tuple[Tensor, Damaged, int]:
        """Read a clip and damage it: the truth (C, T), the damaged clip, the sample rate.

        Raises:
            AudioError: the clip can not be read, or the protocol does not fit it.
        """
        wave, info = files.read(clip.path)
        files.check_finite(wave, clip.name, sample_rate=info.sample_rate)
        if self.config.channels == "mono":
            wave = wave.mean(axis=0, keepdims=True)
        truth = torch.from_numpy(np.ascontiguousarray(wave))
        try:
            damaged = protocol.damage(truth, info.sample_rate, clip.name, self.config.seed)
        except TaskError as error:
            raise AudioError(str(error)) from error  # the clip's fault, not the system's
        return truth, damaged, info.sample_rate

    def _restored(self, system: System, damaged: Damaged, rate: int, task: str) -> Restored:
        restored = system.restore(damaged.wave.clone(), rate, task, damaged.parameters)
        if restored.wave.shape != damaged.wave.shape:
            raise AudioError(
                f"it returned audio of shape {tuple(restored.wave.shape)} for "
                f"{tuple(damaged.wave.shape)}"
            )
        if not bool(torch.isfinite(restored.wave).all()):
            raise AudioError("it returned audio that holds NaN or infinity")
        return replace(restored, wave=restored.wave.detach().cpu().float())

    def _measured(
        self, job: Job, outcome: Outcome
    ) -> tuple[dict[str, float | None], tuple[Failure, ...]]:
        values: dict[str, float | None] = {}
        failures = []
        for measure in self.measures:
            if measure.key not in job.missing:
                continue
            try:
                value = measure.metric.judge(outcome)
            except Exception as error:  # as above
                failures.append(Failure(*self._place(job), f"{measure.label}: {_told(error)}"))
                continue
            values[measure.key] = value if value is not None and math.isfinite(value) else None
        return values, tuple(failures)

    def _jobs(self, store: Results, keep_clips: int) -> list[Job]:
        """List all jobs, system by system: each worker loads a model once."""
        hashes = [file_hash(clip.path) for clip in self.clips]
        jobs = []
        for s, system in enumerate(self.systems):
            for p, protocol in enumerate(self.protocols):
                for c, clip in enumerate(self.clips):
                    key = fingerprint(
                        RESULTS_VERSION, hashes[c], clip.name, self.config.channels,
                        self.config.seed, protocol.name, protocol.identity, system.identity,
                    )
                    known = store.get(key)
                    measured = known.values if known else {}
                    missing = tuple(m.key for m in self.measures if m.key not in measured)
                    skipped = bool(known and known.skipped)
                    keep = (self.config.keep_audio or c < keep_clips) and not skipped
                    audio = self._audio(protocol, system, clip, key) if keep else None
                    jobs.append(Job(c, p, s, key, () if skipped else missing, audio))
        return jobs

    def _audio(self, protocol: Protocol, system: System, clip: Clip, key: str) -> Path:
        """Where restored audio is written: another key, another file."""
        parts = [re.sub(r"[^\w.@=-]+", "_", text) for text in (protocol.name, system.label)]
        stem = re.sub(r"[^\w.-]+", "_", str(Path(clip.name).with_suffix("")))
        return self.config.output.joinpath("audio", *parts, f"{stem}.{key[:8]}.flac")

    def _place(self, job: Job) -> tuple[str, str, str]:
        return (
            self.clips[job.clip].name, self.protocols[job.protocol].name,
            self.systems[job.system].label,
        )

    def _name(self, job: Job) -> str:
        _, task, system = self._place(job)
        return f"{task}, {system}"

    def _work(self, jobs: list[Job]) -> Iterator[Done]:
        count = min(self.config.jobs, len(jobs))
        if count <= 1:
            yield from map(self.execute, jobs)
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(count, context, _start_worker, (self.config,))
        try:
            pending: list[Future[Done]] = [pool.submit(_execute, job) for job in jobs]
            for future in as_completed(pending):
                yield future.result()
        except BrokenProcessPool as error:
            raise A2SBError(
                f"a worker process died, perhaps for want of memory: run again with fewer than "
                f"--jobs {count}; what was done is kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: Evaluation


def _start_worker(config: EvaluateConfig) -> None:
    global _worker
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // config.jobs))
    _worker = Evaluation(config)


def _execute(job: Job) -> Done:
    return _worker.execute(job)


def load_measures(texts: tuple[str, ...] | None) -> list[Measure]:
    """Find metrics by name; of the default ones, those that can not run here are left out.

    Raises:
        ConfigError: one is unknown, or its options are wrong.
        A2SBError: one can not run here.
    """
    measures = []
    for text in METRICS if texts is None else texts:
        measure = _measure(parse_spec(text))
        try:
            measure.metric.check()
        except A2SBError as error:
            if texts is not None:
                raise
            log.warning("left out: %s", error)
            continue
        measures.append(measure)
    return measures


def _measure(spec: Spec) -> Measure:
    entry = default_registry().entry("metric", spec.name)
    config_class = default_registry().resolve("metric", spec.name).Config
    config = validate(config_class, dict(spec.options), spec.text)
    identity: dict[str, Any] = config.model_dump(mode="json")
    metric = cast(Metric, config.build())
    return Measure(spec.text, fingerprint(entry.qualified, entry.version, identity), metric)


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, A2SBError) else f"{type(error).__name__}: {text}"


__all__ = ["DEGRADED", "Done", "Evaluation", "Failure", "Job", "Measure", "Report"]
