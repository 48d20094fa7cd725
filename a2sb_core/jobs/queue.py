"""A queue of jobs in a folder, which survives the end of its workers and of the server."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a2sb_core.errors import A2SBError
from a2sb_core.jobs.folder import (
    RESULT,
    Work,
    commit,
    job_id,
    locked_folder,
    perform,
    read_outcome,
    staged_job,
    stored_jobs,
)
from a2sb_core.jobs.job_process import CancelledError, JobProcess, WorkerEndedError
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.records import Job, JobOutcome, State, Ticket

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Number of times that a job begins whose worker ends before the job does."""
SWEEP_S = 60.0
"""Seconds between searches for old jobs."""
POLL_S = 0.05
"""Seconds between looks at a job that is awaited."""
FINAL: tuple[State, ...] = ("done", "failed", "cancelled")


class QueueFullError(A2SBError):
    """Too many jobs wait."""


class UnknownJobError(A2SBError):
    """There is no such job, or it has been removed."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"job {id_} does not exist, or has been removed")


@dataclass
class _Entry:
    """A job in memory."""

    ticket: Ticket
    state: State = "queued"
    step: tuple[int, int] = (0, 0)
    attempts: int = 0
    started: float | None = None
    outcome: JobOutcome | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    is_dropped: bool = False


class JobQueue:
    """Jobs in a folder, and the workers that do them in the order of their arrival.

    Each job is a folder with its request and its recording. The result appears in it in one step,
    together with the outcome; a job without an outcome is done when a queue opens the folder again.
    A job whose worker ends is tried again.

    Args:
        folder: folder of the jobs, which is created.
        work: does a job.
        limits: the time and the memory that a job may take.
        workers: number of jobs that run at a time, each in a process of its own.
        waiting: largest number of jobs that wait.
        keep_s: time in seconds after which a job that has ended is removed.

    Attributes:
        ended: number of jobs that have ended, by state, since the queue was opened.
        ran: number of these jobs that ran.
        seconds: duration of all jobs that ran, without the time that they waited.
        lost_workers: number of workers that ended during a job.

    Raises:
        A2SBError: the folder cannot be used, or another server uses it.
    """

    def __init__(
        self,
        folder: Path,
        work: Work,
        limits: Limits,
        *,
        workers: int = 1,
        waiting: int = 20,
        keep_s: float = 24 * 3600.0,
    ) -> None:
        self.folder, self.work, self.limits = folder, work, limits
        self.waiting, self.keep_s = waiting, keep_s
        self.ended: Counter[State] = Counter()
        self.ran, self.seconds, self.lost_workers = 0, 0.0, 0
        self._entries: dict[str, _Entry] = {}
        self._waiting: deque[str] = deque()
        self._changed, self._is_closed = threading.Condition(), False
        self._lock = locked_folder(folder)
        self._load()
        self.workers = [JobProcess() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), daemon=True)
            for worker in self.workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        source: Path,
        request: dict[str, Any],
        *,
        owner: str = "",
        name: str | None = None,
        key: str | None = None,
    ) -> Job:
        """Add a job.

        Args:
            source: the recording, which is linked or copied.
            request: the request, as JSON holds it.
            owner: name of the client.
            name: name of the recording (default: that of ``source``).
            key: a text by which the client recognizes the job. A second request of the client with
                the same key adds nothing and returns the first job.

        Raises:
            QueueFullError: too many jobs wait.
            OSError: the job cannot be written.
        """
        id_, name = job_id(owner, key), name or source.name
        with self._changed:
            if id_ in self._entries:
                return self._job(id_)
            self._check_room()
        ticket = Ticket(id=id_, owner=owner, source=name, created=time.time(), request=request)
        with staged_job(self.folder, ticket, source) as staging, self._changed:
            if id_ not in self._entries:  # unless another thread has added it meanwhile
                self._check_room()
                staging.rename(self.folder / id_)
                self._entries[id_] = _Entry(ticket)
                self._waiting.append(id_)
                self._changed.notify()
            return self._job(id_)

    def find(self, owner: str, key: str) -> Job | None:
        """Return the job that a client submitted with a key; None if there is none."""
        with self._changed:
            id_ = job_id(owner, key)
            return self._job(id_) if id_ in self._entries else None

    def get(self, id_: str) -> Job:
        """Return the state of a job.

        Raises:
            UnknownJobError: there is no such job.
        """
        with self._changed:
            return self._job(id_)

    def jobs(self, owner: str | None = None) -> list[Job]:
        """Return the jobs of a client, or all, in the order of their arrival."""
        with self._changed:
            return [
                self._job(id_)
                for id_, entry in self._entries.items()
                if owner in (None, entry.ticket.owner)
            ]

    def count(self) -> dict[State, int]:
        """Return the number of jobs in each state."""
        with self._changed:
            return dict(Counter(entry.state for entry in self._entries.values()))

    def cancel(self, id_: str) -> Job:
        """Cancel a job, unless it has ended; a running one ends soon afterwards.

        Raises:
            UnknownJobError: there is no such job.
        """
        with self._changed:
            entry = self._entry(id_)
            if entry.state == "queued":
                self._waiting.remove(id_)
                self._end(entry, JobOutcome(state="cancelled", error=str(CancelledError())))
            elif entry.state == "running":
                entry.stop.set()
            return self._job(id_)

    def wait(
        self, id_: str, stop: threading.Event, on_change: Callable[[Job], None] = lambda job: None
    ) -> Job:
        """Wait for the end of a job, which is cancelled when ``stop`` is set.

        Args:
            id_: the job.
            stop: cancels the job.
            on_change: receives the job when it has changed.

        Raises:
            UnknownJobError: there is no such job.
        """
        last = None
        while True:
            if stop.is_set():
                self.cancel(id_)
            job = self.get(id_)
            if job != last and not stop.is_set():
                on_change(job)
            if job.state in FINAL:
                return job
            last = job
            time.sleep(POLL_S)

    def result(self, id_: str) -> Path:
        """Return the folder with the result of a job, and its outcome."""
        return self.folder / id_ / RESULT

    def remove(self, id_: str) -> None:
        """Remove a job that has ended, and its files.

        Raises:
            UnknownJobError: there is no such job.
            A2SBError: the job has not ended.
        """
        with self._changed:
            if self._entry(id_).state not in FINAL:
                raise A2SBError(f"job {id_} has not ended: cancel it first")
            del self._entries[id_]
        shutil.rmtree(self.folder / id_, ignore_errors=True)

    def drop(self, id_: str) -> None:
        """Remove a job; one that has not ended is cancelled, and removed when it has ended.

        A job that does not exist is left out.
        """
        with self._changed, suppress(UnknownJobError):
            self.cancel(id_)
            self._entries[id_].is_dropped = True
            if self._entries[id_].state in FINAL:
                self.remove(id_)

    def close(self) -> None:
        """Stop; jobs that have not ended are done when the folder is opened again."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        while any(thread.is_alive() for thread in self._threads):
            for worker in self.workers:  # also one that a thread has just started
                worker.close()
            time.sleep(POLL_S)
        self._lock.release()

    def _load(self) -> None:
        """Read the jobs of the folder, in the order of their arrival."""
        for ticket, outcome in stored_jobs(self.folder):
            state: State = outcome.state if outcome else "queued"
            self._entries[ticket.id] = _Entry(ticket, state, outcome=outcome)
            if outcome is None:
                self._waiting.append(ticket.id)

    def _check_room(self) -> None:
        if self._is_closed:
            raise QueueFullError("the server is about to end: try again later")
        if len(self._waiting) >= self.waiting:
            raise QueueFullError(f"{self.waiting} jobs wait already: try again later")

    def _entry(self, id_: str) -> _Entry:
        try:
            return self._entries[id_]
        except KeyError:
            raise UnknownJobError(id_) from None

    def _job(self, id_: str) -> Job:
        entry = self._entry(id_)
        return Job(
            ticket=entry.ticket,
            state=entry.state,
            ahead=self._waiting.index(id_) if entry.state == "queued" else 0,
            finished=entry.step[0],
            frames=entry.step[1],
            attempts=entry.attempts,
            started=entry.started,
            outcome=entry.outcome,
        )

    def _serve(self, worker: JobProcess) -> None:
        """Do jobs until the queue is closed."""
        while (entry := self._next()) is not None:
            outcome = self._outcome(worker, entry)
            with self._changed:
                if outcome is not None:
                    self._end(entry, outcome)
                    if entry.is_dropped:
                        self.remove(entry.ticket.id)
                elif not self._is_closed:
                    entry.state, entry.step = "queued", (0, 0)
                    self._waiting.appendleft(entry.ticket.id)
        worker.close()

    def _next(self) -> _Entry | None:
        """Wait for a job, and return it; None if the queue is closed."""
        while True:
            self._sweep()
            with self._changed:
                if self._is_closed:
                    return None
                if self._waiting:
                    entry = self._entries[self._waiting.popleft()]
                    entry.state, entry.started = "running", time.time()
                    entry.attempts += 1
                    return entry
                self._changed.wait(SWEEP_S)

    def _outcome(self, worker: JobProcess, entry: _Entry) -> JobOutcome | None:
        """Do a job, and return its outcome; None if it is to be tried again."""
        folder = self.folder / entry.ticket.id

        def step(done: int, of: int) -> None:
            entry.step = done, of

        try:
            return worker.run(  # type: ignore[no-any-return]
                perform,
                folder,
                self.work,
                entry.attempts,
                entry.started,
                limits=self.limits,
                stop=entry.stop,
                on_step=step,
            )
        except CancelledError as error:
            outcome = JobOutcome(state="cancelled", error=str(error))
        except WorkerEndedError as error:
            self.lost_workers += not self._is_closed
            if self._is_closed or entry.attempts < ATTEMPTS:
                outcome = None
            else:
                outcome = JobOutcome(state="failed", error=str(error))
        except Exception as error:
            text = "; ".join((str(error), *getattr(error, "__notes__", ())))
            outcome = JobOutcome(state="failed", error=text)
        return read_outcome(folder) or outcome  # it may have ended at the last moment

    def _end(self, entry: _Entry, outcome: JobOutcome) -> None:
        """Keep the outcome of a job."""
        if not outcome.ended:
            outcome = outcome.model_copy(
                update={"started": entry.started, "ended": time.time(), "attempts": entry.attempts}
            )
            try:
                commit(self.folder / entry.ticket.id, outcome)
            except OSError as error:
                log.warning("the outcome of job %s cannot be kept: %s", entry.ticket.id, error)
        entry.outcome, entry.state = outcome, outcome.state
        self.ended[outcome.state] += 1
        if outcome.started is not None:
            self.ran += 1
            self.seconds += outcome.ended - outcome.started

    def _sweep(self) -> None:
        """Remove jobs that ended long ago."""
        before = time.time() - self.keep_s
        with self._changed:
            old = [
                id_
                for id_, entry in self._entries.items()
                if entry.outcome is not None and entry.outcome.ended < before
            ]
        for id_ in old:
            with suppress(UnknownJobError):  # removed meanwhile
                self.remove(id_)
