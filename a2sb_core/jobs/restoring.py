"""Jobs that restore recordings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from a2sb_core.audio import files
from a2sb_core.audio.choices import AudioFormat, Stereo
from a2sb_core.batch.pairing import Pair, plan
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.jobs.job_process import OnStep
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.records import JobOutcome
from a2sb_core.restoration.damage import Damage, describe
from a2sb_core.restoration.listener import NoteCollector, ProgressListener
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.restorer import Restorer


class RestoreRequest(BaseModel):
    """Settings of the restoration of a recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    task: str
    """Task of the model."""
    model: str = DEFAULT_MODEL
    """Name of the model."""
    damage: Mapping[str, Any] = Field(default_factory=dict)
    """Known parameters of the damage; empty to find the damage."""
    steps: int | None = None
    """Number of network evaluations for each window; null for the model's default."""
    seed: int = 0
    """Seed of the noise; the same seed gives the same result."""
    format: AudioFormat | None = None
    """Format of the result; null for that of the recording."""
    stereo: Stereo = "lr"
    """Channels that are restored: `lr` (left and right), `ms` (middle and side) or `mono`."""
    level_db: float = 0.0
    """Gain in dB of what the restoration adds."""

    def options(self) -> RestoreOptions:
        """Return the options of the restoration.

        Raises:
            TaskError: a value is invalid.
        """
        return RestoreOptions(
            self.task,
            self.damage,
            self.steps,
            self.seed,
            stereo=self.stereo,
            level_db=self.level_db,
        )

    def check(self, limits: Limits) -> None:
        """Check the values before the work.

        Raises:
            TaskError: a value is invalid, or there are more steps than the server allows.
        """
        if self.steps is not None and self.steps > limits.steps:
            raise TaskError(
                f"{self.steps} steps exceed the limit of this server, which is {limits.steps}"
            )
        self.options()


def check_recording(path: Path, limits: Limits) -> files.AudioInfo:
    """Check the length, the channels and the sample rate of a recording by its header.

    Raises:
        AudioError: the recording is too long, or the file is not audio.
    """
    info = files.info(path)
    counted = limits.counted_minutes(info)
    if counted > limits.minutes:
        minutes = info.duration_s / 60
        size = f"{minutes:.1f} minutes long"
        if counted > minutes:
            size += (
                f" and counts as {counted:.1f} minutes of stereo ({info.channels} channels, "
                f"{info.sample_rate / 1000:g} kHz)"
            )
        raise AudioError(
            f"{path.name} is {size}, and the limit of this server is {limits.minutes:g}: restore "
            "it on the command line, which has no limit"
        )
    return info


def restore(
    report: OnStep, source: Path, room: Path, request: RestoreRequest, limits: Limits, device: str
) -> tuple[Pair, Damage | None, JobOutcome]:
    """Restore a recording in a worker, as ``a2sb restore`` does.

    Args:
        report: receives the progress.
        source: the recording.
        room: folder of the result; an attempt that was killed in it is continued.
        request: the settings.
        limits: limits of the recording.
        device: device that restores.

    Returns:
        The files, the damage (None if there was nothing to restore), and the outcome.

    Raises:
        A2SBError: the recording cannot be restored.
    """
    started = time.monotonic()
    check_recording(source, limits)
    suffix = f".{request.format}" if request.format else None
    pair = plan([source], room, suffix=suffix)[0]
    listener = NoteCollector(ProgressListener(report))
    damage = _restorer(request.model, device).restore_file(
        pair.source, pair.target, request.options(), WriteOptions(resume=True), listener=listener
    )
    sentence, seconds = describe(damage), time.monotonic() - started
    outcome = JobOutcome(
        target=pair.target.name,
        text=f"{sentence[0].upper()}{sentence[1:]}. Done in {seconds:.1f} s.",
        notes=listener.notes,
        data={"damage": damage.as_dict() if damage else None},
    )
    return pair, damage, outcome


@lru_cache(maxsize=1)
def _restorer(model: str, device: str) -> Restorer:
    return Restorer.from_pretrained(model, device)
