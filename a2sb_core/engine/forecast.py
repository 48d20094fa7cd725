"""What a restoration would do, and what it would take, without doing it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.engine.filing import Source
from a2sb_core.engine.job import Job
from a2sb_core.engine.memory import estimate_bytes
from a2sb_core.engine.restorer import Restorer
from a2sb_core.engine.stereo import Stereo
from a2sb_core.interfaces import FrozenConfig

PROBE_S = 3.0
"""So long a recording is worked on to see how fast it goes."""


@dataclass(frozen=True)
class Forecast:
    """What a restoration would take.

    Attributes:
        damage: what would be restored; None: nothing.
        seconds: of work.
        bytes: of memory, at most, of the device on which the model is.
    """

    damage: FrozenConfig | None
    seconds: float
    bytes: int


class _EnoughError(Exception):
    """The pace is known."""


class Forecaster:
    """Forecasts restorations by one model; how fast it is, the first damaged recording shows."""

    def __init__(self, restorer: Restorer) -> None:
        """Take the restorer."""
        self.restorer = restorer
        self.pace_s: float | None = None  # of a frame of one channel
        self.bytes: dict[int, int] = {}  # by the number of channels

    def forecast(
        self, source: str | Path, *, task: str, stereo: Stereo = "lr", **options: Any
    ) -> Forecast:
        """Look into a file, as :meth:`Restorer.restore_file` does, and say what it would take.

        Raises:
            A2SBError: the file can not be restored so.
        """
        audio = Source.open(source).formed(stereo)
        job = self.restorer.job(
            audio.blocks, audio.sample_rate, task=task, samples=audio.frames, **options
        )
        if job.plan is None:
            return Forecast(job.damage, 0.0, 0)
        model = self.restorer.model
        frames = job.plan.frames_to_sample(model.representation) or 0
        if self.pace_s is None:
            self.pace_s = _measure(job) / audio.channels
        if audio.channels not in self.bytes:
            self.bytes[audio.channels] = estimate_bytes(
                job.plan.sampler, model, self.restorer.precision, audio.channels
            )
        seconds = frames * audio.channels * self.pace_s
        return Forecast(job.damage, seconds, self.bytes[audio.channels])


def _measure(job: Job) -> float:
    """Return the seconds for a frame, after some seconds of real work."""
    times: list[tuple[float, int]] = [(time.perf_counter(), 0)]

    def watch(done: int, of: int) -> None:
        times.append((time.perf_counter(), done))
        # What is done first warms up: it is left out as soon as there is more.
        if times[-1][0] - times[0][0] > PROBE_S and done > times[1][1]:
            raise _EnoughError

    try:
        for _ in job.with_progress(watch).run():
            pass
    except _EnoughError:
        pass
    first = times[1] if len(times) > 2 and times[-1][1] > times[1][1] else times[0]
    last = times[-1]
    return (last[0] - first[0]) / max(1, last[1] - first[1])
