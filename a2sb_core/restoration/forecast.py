"""Forecast of a restoration: its damage, time and memory, without running it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from a2sb_core.audio.resampling import resampled_length
from a2sb_core.interfaces import BlockPair
from a2sb_core.interfaces.recording import resampled_blocks
from a2sb_core.restoration.chain import Chain, ChainDamage
from a2sb_core.restoration.damage import Damage
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.output import check_result
from a2sb_core.restoration.preparing import Restoration
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.sources import PIPE, AudioSource
from a2sb_core.restoration.stereo import restore_form

PROBE_S = 3.0
"""Seconds of work after which the speed is known."""


@dataclass(frozen=True)
class Forecast:
    """The expected cost of a restoration.

    Attributes:
        damage: the damage that would be restored; None if there is none.
        seconds: duration of the work, in seconds.
        bytes: largest memory on the device of the model, in bytes.
    """

    damage: Damage | ChainDamage | None
    seconds: float
    bytes: int


class _EnoughError(Exception):
    """The speed is known."""


class Forecaster:
    """Forecasts restorations by one model, whose speed it measures on the first recording."""

    def __init__(self, restorer: Restorer) -> None:
        """Store the restorer."""
        self.restorer = restorer
        self.frame_s: float | None = None  # duration of the work on a frame of one channel

    def forecast(self, source: str | Path, options: RestoreOptions) -> Forecast:
        """Inspect a file as :meth:`Restorer.restore_file` does, and estimate the cost.

        Raises:
            A2SBError: the file cannot be restored with these options.
        """
        return self.cost(self.restorer.prepare_file(AudioSource.open(source), options))

    def cost(self, restoration: Restoration) -> Forecast:
        """Estimate the cost of a restoration."""
        plan, restorer = restoration.plan, self.restorer
        if plan is None:
            return Forecast(None, 0.0, 0)
        frames = plan.frames_to_sample(restorer.model.representation) or 0
        if self.frame_s is None:
            self.frame_s = _measure(restoration) / plan.channels
        seconds = frames * plan.channels * self.frame_s + _finisher_s(restoration)
        return Forecast(plan.damage, seconds, restorer.memory.estimate(plan))


class ChainForecaster:
    """Forecasts chains of the same restorers, whose speed it measures on the first recording.

    The results between the steps are not computed: in the inspection of a later step, the recording
    at the sample rate of the step before, with silence in place of lost samples, stands for them.
    """

    def __init__(self, restorers: Sequence[Restorer]) -> None:
        """Store the restorers."""
        self._forecasters = {id(restorer): Forecaster(restorer) for restorer in restorers}

    def forecast(
        self,
        chain: Chain,
        source: str | Path,
        target: str | Path = PIPE,
        write: WriteOptions | None = None,
    ) -> Forecast:
        """Inspect a file for each step, and estimate the cost of all steps.

        Raises:
            A2SBError: a step cannot be done, and the message states which; or the format of
                ``target`` cannot hold the result.
        """
        audio = AudioSource.open(source)
        chain.check(audio, target, write)
        like = audio.info
        found, seconds, most = [], 0.0, 0
        for number, (restorer, options) in enumerate(chain.steps):
            with chain.named(number):
                restoration = restorer.prepare_file(audio, options)
            one = self._forecasters[id(restorer)].cost(restoration)
            found.append((options.task, restoration.damage))
            seconds, most = seconds + one.seconds, max(most, one.bytes)
            audio = _stand_in(audio, restoration)
        check_result(target, write, like, audio.channels, (audio.sample_rate,))
        if all(damage is None for _, damage in found):
            return Forecast(None, 0.0, 0)
        return Forecast(ChainDamage(tuple(found)).simplified(), seconds, most)


@dataclass(frozen=True)
class _StandIn:
    """Blocks that stand for the result of a restoration."""

    restoration: Restoration

    def __len__(self) -> int:
        return 1

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        done = self.restoration
        recording = done.recording.without(done.damage.lost if done.damage else None)
        for block in resampled_blocks(recording.blocks(), recording.sample_rate, done.output_rate):
            yield restore_form(block, done.options.stereo, block.dtype)


def _stand_in(source: AudioSource, done: Restoration) -> AudioSource:
    frames = resampled_length(source.frames or 0, source.sample_rate, done.output_rate)
    channels = done.recording.channels
    return AudioSource(source.name, done.output_rate, channels, frames, _StandIn(done))


class _Stopwatch(Listener):
    """Records the progress over time, and ends the work once the speed is known."""

    def __init__(self) -> None:
        self.times: list[tuple[float, int]] = [(time.perf_counter(), 0)]

    def on_progress(self, done: int, of: int) -> None:
        self.times.append((time.perf_counter(), done))
        # The first part includes the warm-up, so it is left out as soon as there is another one.
        if self.times[-1][0] - self.times[0][0] > PROBE_S and done > self.times[1][1]:
            raise _EnoughError


def _measure(restoration: Restoration) -> float:
    """Return the seconds per frame, measured during some seconds of the model's work."""
    watch = _Stopwatch()
    try:
        for _ in restoration.pairs(listener=watch):
            pass
    except _EnoughError:
        pass
    times = watch.times
    first = times[1] if len(times) > 2 and times[-1][1] > times[1][1] else times[0]
    last = times[-1]
    return (last[0] - first[0]) / max(1, last[1] - first[1])


def _finisher_s(restoration: Restoration) -> float:
    """Return the time of the finisher, measured during some seconds on the damaged recording."""
    plan = restoration.plan
    if plan is None or plan.finisher is None:
        return 0.0
    rate, reading_s, done = plan.output_rate, 0.0, 0
    started = time.perf_counter()

    def damaged() -> Iterator[BlockPair]:
        nonlocal reading_s
        asked = time.perf_counter()
        for block in restoration.recording.without(plan.damage.lost).blocks(rate):
            for part in torch.split(block, rate, dim=-1):
                reading_s += time.perf_counter() - asked
                yield BlockPair(part.clone(), part)
                asked = time.perf_counter()

    for pair in plan.finisher.finish(damaged()):
        done += pair.restored.shape[-1]
        passed_s, total_s = plan.damaged_s(done), plan.damaged_s()
        if time.perf_counter() - started > PROBE_S or passed_s >= total_s:
            break
    seconds = time.perf_counter() - started - reading_s
    return seconds * total_s / passed_s if passed_s else 0.0
