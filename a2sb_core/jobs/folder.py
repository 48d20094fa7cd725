"""The folder of a queue, and the folders of its jobs.

Each job is a folder with its request and its recording. Its result appears in one step, together
with the outcome.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from a2sb_core.common.files import PARTIAL_PATTERN, staging_folder
from a2sb_core.errors import A2SBError
from a2sb_core.jobs.job_process import CancelledError, OnStep
from a2sb_core.jobs.records import JobOutcome, Ticket

log = logging.getLogger(__name__)

LOCK = "running.lock"
TICKET, SOURCE, WORK, RESULT, OUTCOME = "job.json", "source", "work", "result", "outcome.json"
"""Names in the folder of a job: the request, its recording, unfinished files, and the result."""

Work = Callable[[OnStep, Path, Path, dict[str, Any]], JobOutcome]
"""A function of a module: does a job in a worker.

It receives ``report(done, of)``, the recording, the folder for the result, and the request. The
folder may hold files of an attempt that was killed.
"""


def stored_jobs(folder: Path) -> list[tuple[Ticket, JobOutcome | None]]:
    """Return the jobs in the folder of a queue, in the order of their arrival.

    What a killed server has left of jobs that it had not accepted is removed.
    """
    found = []
    for path in folder.iterdir():
        if path.is_dir() and path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True)
        elif (path / TICKET).is_file():
            try:
                found.append((Ticket.read(path / TICKET), read_outcome(path)))
            except (OSError, ValueError) as error:
                log.warning("the job in %s is damaged and left as it is: %s", path, error)
    return sorted(found, key=lambda one: one[0].created)


@contextmanager
def staged_job(folder: Path, ticket: Ticket, source: Path) -> Iterator[Path]:
    """Write a job to a hidden folder, which the caller renames to accept the job."""
    with staging_folder(folder / ticket.id) as staging:
        (staging / SOURCE).mkdir()
        _link(source, staging / SOURCE / ticket.source)
        (staging / TICKET).write_text(ticket.model_dump_json(), encoding="utf8")
        yield staging


def read_outcome(folder: Path) -> JobOutcome | None:
    """Return the outcome of a job from its folder; None if the job is not at its end."""
    path = folder / RESULT / OUTCOME
    return JobOutcome.read(path) if path.is_file() else None


def commit(folder: Path, outcome: JobOutcome) -> None:
    """End a job: its files and its outcome become the result in one step.

    Raises:
        OSError: the outcome cannot be written.
    """
    room = folder / WORK
    if outcome.state != "done":
        shutil.rmtree(room, ignore_errors=True)
    room.mkdir(exist_ok=True)
    for left in room.glob(PARTIAL_PATTERN):  # by an attempt that was killed
        left.unlink()
    (room / OUTCOME).write_text(outcome.model_dump_json(), encoding="utf8")
    room.rename(folder / RESULT)
    shutil.rmtree(folder / SOURCE, ignore_errors=True)


def perform(report: OnStep, folder: Path, work: Work, attempt: int, started: float) -> JobOutcome:
    """Do a job in a worker, unless it is done already."""
    if done := read_outcome(folder):
        return done
    ticket, room = Ticket.read(folder / TICKET), folder / WORK
    is_continued = room.exists()
    room.mkdir(exist_ok=True)
    source = folder / SOURCE / ticket.source
    try:
        outcome = work(report, source, room, ticket.request)
    except CancelledError:
        raise
    except A2SBError:
        if not is_continued:
            raise
        shutil.rmtree(room)  # what the killed attempt has left cannot be continued
        room.mkdir()
        outcome = work(report, source, room, ticket.request)
    update = {"started": started, "ended": time.time(), "attempts": attempt}
    outcome = outcome.model_copy(update=update)
    commit(folder, outcome)
    return outcome


def locked_folder(folder: Path) -> FileLock:
    """Create the folder of a queue, and lock it for this server.

    Raises:
        A2SBError: the folder cannot be used, or another server uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise A2SBError(
            f"another server uses the folder {folder}: end it, or choose another folder"
        ) from error
    except OSError as error:
        raise A2SBError(f"{folder} cannot be used: {error.strerror or error}") from error
    return lock


def job_id(owner: str, key: str | None) -> str:
    """Return a random name for a job, or that of the key of its owner."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()[:32]


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
