"""Records of a job: what was asked, what came of it, and how it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from a2sb_core.common.files import read_limited

LARGEST_RECORD = 16_000_000
"""Largest record in bytes."""

State = Literal["queued", "running", "done", "failed", "cancelled"]


class Record(BaseModel):
    """A record that does not change."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from a JSON file.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged.
        """
        return cls.model_validate(json.loads(read_limited(path, LARGEST_RECORD)))


class Ticket(Record):
    """A request as it is stored; ``created`` is in seconds since 1970."""

    id: str
    owner: str
    source: str
    created: float
    request: dict[str, Any]


class JobOutcome(Record):
    """The outcome of a job.

    Attributes:
        state: ``done``, ``failed`` or ``cancelled``.
        target: name of the result in the folder of results; empty if there is none.
        text: sentence about the result.
        notes: remarks on the result, such as that its peaks were limited.
        error: the reason of a failure.
        data: further facts, as JSON holds them.
        started: begin of the last attempt, in seconds since 1970; None if there was none.
        ended: end of the job, in seconds since 1970.
        attempts: number of times that the work began.
    """

    state: State = "done"
    target: str = ""
    text: str = ""
    notes: list[str] = []
    error: str = ""
    data: dict[str, Any] = {}
    started: float | None = None
    ended: float = 0.0
    attempts: int = 0


class Job(Record):
    """The state of a job at one time.

    Attributes:
        ticket: the request.
        state: ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
        ahead: number of jobs that will begin before this one.
        finished: number of finished frames.
        frames: number of all frames; 0 if it is not known.
        attempts: number of times that the work began.
        started: begin of the last attempt, in seconds since 1970; None before.
        outcome: the outcome; None before the end.
    """

    ticket: Ticket
    state: State
    ahead: int = 0
    finished: int = 0
    frames: int = 0
    attempts: int = 0
    started: float | None = None
    outcome: JobOutcome | None = None
