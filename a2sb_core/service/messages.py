"""Requests and answers of the service, as JSON."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from a2sb_core.jobs.records import Job, State
from a2sb_core.jobs.request import RestoreRequest


class Message(BaseModel):
    """A message that does not change."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Problem(Message):
    """The reason why a request is refused."""

    detail: str
    """Reason, and what to do."""


class UploadedRecording(Message):
    """A recording that was uploaded."""

    id: str
    """Name of the upload in requests."""
    name: str
    """Name of the file."""
    size: int
    """Size in bytes."""
    duration_s: float
    """Duration in seconds."""
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    """Number of channels."""


class JobRequest(RestoreRequest):
    """A recording, and settings of its restoration."""

    upload: str
    """The upload; several jobs may use one."""


class JobStatus(Message):
    """The state of a job."""

    id: str
    """Name of the job in requests."""
    state: State
    """`queued`, `running`, `done`, `failed` or `cancelled`."""
    source: str
    """Name of the recording."""
    task: str
    """Task of the model."""
    model: str
    """Name of the model."""
    created: float
    """Time at which the job was added, in seconds since 1970."""
    started: float | None
    """Time at which the last attempt began, in seconds since 1970; null before."""
    ended: float | None
    """Time at which the job ended, in seconds since 1970; null before."""
    ahead: int
    """Number of jobs that begin before this one."""
    finished: int
    """Number of finished frames."""
    frames: int
    """Number of all frames; 0 if it is not known."""
    attempts: int
    """Number of times that the work began: more than once if its process was killed."""
    result: str | None
    """Name of the result; null if there is none."""
    text: str
    """Sentence about the result."""
    notes: list[str]
    """Remarks on the result, such as that its peaks were limited."""
    error: str
    """Reason of a failure."""
    damage: dict[str, Any] | None
    """Parameters of the damage that was restored; null if there was none."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the state of a job of the queue."""
        ticket, outcome = job.ticket, job.outcome
        return cls(
            id=ticket.id,
            state=job.state,
            source=ticket.source,
            task=ticket.request["task"],
            model=ticket.request["model"],
            created=ticket.created,
            started=outcome.started if outcome else job.started,
            ended=outcome.ended if outcome else None,
            ahead=job.ahead,
            finished=job.finished,
            frames=job.frames,
            attempts=outcome.attempts if outcome else job.attempts,
            result=(outcome.target or None) if outcome else None,
            text=outcome.text if outcome else "",
            notes=outcome.notes if outcome else [],
            error=outcome.error if outcome else "",
            damage=outcome.data.get("damage") if outcome else None,
        )

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.state in ("done", "failed", "cancelled")


class ServedModel(Message):
    """A model of the server."""

    name: str
    """Name of the model in requests."""
    tasks: list[str]
    """Tasks of the model."""
    summary: str
    """Sentence about the model."""
    is_default: bool
    """Whether jobs use this model if they name none."""


class ServedLimits(Message):
    """Limits of the server."""

    minutes: float
    """Longest recording, in minutes of stereo at 48 kHz; more channels or a higher rate count as
    more."""
    megabytes: int
    """Largest upload, in MB."""
    files: int
    """Largest number of jobs of a client that have not ended."""
    steps: int
    """Largest number of steps."""
    work_minutes: float
    """Longest restoration of a recording, in minutes."""
    daily_megabytes: int
    """Size of all uploads of a client in a day, in MB."""
    daily_files: int
    """Largest number of uploads of a client in a day."""
    waiting: int
    """Largest number of jobs that wait."""
    keep_hours: float
    """Hours after which uploads, and jobs that have ended, are removed."""


class Health(Message):
    """The state of the server."""

    status: str
    """`ok`."""
    version: str
    """Version of a2sb."""
    workers: int
    """Number of jobs that run at a time."""
    queued: int
    """Number of jobs that wait."""
    running: int
    """Number of jobs that run."""
