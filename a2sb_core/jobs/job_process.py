"""Processes that do jobs, whose work can be ended at any time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import psutil

from a2sb_core.common.text import format_bytes
from a2sb_core.errors import A2SBError, TaskError
from a2sb_core.jobs.limits import Limits

OnStep = Callable[[int, int], None]

POLL_S = 0.05
"""How often a job is checked, in seconds."""
GRACE_S = 2.0
"""Time in seconds in which a cancelled job may end by itself, which keeps the loaded model."""


class CancelledError(A2SBError):
    """The user cancelled."""

    def __init__(self, text: str = "cancelled: nothing was written") -> None:
        super().__init__(text)


class WorkerEndedError(TaskError):
    """The process ended during a job, which can be tried again."""


class JobProcess:
    """Runs one job at a time in a process, which is kept for the next job.

    What a job has loaded and cached is there for the next one. A process that has ended, or has
    been ended, is replaced when the next job begins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection

    @property
    def pid(self) -> int | None:
        """Number of the process; None if there is none."""
        return self._process.pid if self._process else None

    def run(
        self,
        job: Callable[..., Any],
        *arguments: Any,
        limits: Limits,
        stop: threading.Event,
        on_step: OnStep = lambda done, of: None,
    ) -> Any:
        """Run ``job(report, *arguments)`` in the process, and return its result.

        Args:
            job: a function of a module, which calls ``report(done, of)`` now and then.
            arguments: its arguments, which are pickled.
            limits: the time and the memory that the job may take.
            stop: ends the job when it is set.
            on_step: receives what the job reports.

        Raises:
            A2SBError: the job failed; notes are part of the message.
            CancelledError: ``stop`` is set.
            TaskError: the job exceeded a limit.
            WorkerEndedError: the process ended.
        """
        with self._lock:
            if stop.is_set():
                raise CancelledError
            try:
                self._begin().send((job, arguments))
                outcome = self._outcome(limits, stop, on_step)
            except (EOFError, ConnectionError) as error:
                raise WorkerEndedError(self._end_message()) from error
            except BaseException:
                self._end()
                raise
        if isinstance(outcome, A2SBError):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the process, also during a job."""
        if self._process is not None:
            self._process.kill()

    def _begin(self) -> Connection:
        """Return the connection to a process, which is started if there is none."""
        if self._process is None or not self._process.is_alive():
            self._end()
            spawn = multiprocessing.get_context("spawn")
            self._pipe, theirs = spawn.Pipe()
            self._process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()  # so that the end of the process ends the connection
        return self._pipe

    def _end(self) -> int | None:
        """End the process; return its exit code, or None if there was none."""
        if self._process is None:
            return None
        self._process.kill()
        self._process.join()
        self._pipe.close()
        code, self._process = self._process.exitcode, None
        return code

    def _outcome(self, limits: Limits, stop: threading.Event, on_step: OnStep) -> Any:
        """Wait for the result of the job, or for its error."""
        end, is_stopping = time.monotonic() + 60 * limits.work_minutes, False
        while True:
            if self._pipe.poll(POLL_S):
                is_step, content = self._pipe.recv()
                if not is_step:
                    return content
                if not is_stopping:
                    on_step(*content)
            if stop.is_set() and not is_stopping:
                end, is_stopping = time.monotonic() + GRACE_S, True
                self._pipe.send(None)
            if time.monotonic() > end:
                raise (
                    CancelledError if is_stopping else _exceeded(f"{limits.work_minutes:g} minutes")
                )
            if self._used_bytes() > limits.memory_bytes:
                raise _exceeded(f"{format_bytes(limits.memory_bytes)} of memory")

    def _used_bytes(self) -> int:
        with suppress(psutil.Error):  # it has just ended
            return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def _end_message(self) -> str:
        """Describe to people how the process ended."""
        assert self._process is not None
        self._process.join(GRACE_S)
        code = self._end() or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return (
            f"the process that did the work has ended ({how}), perhaps because memory ran out: try "
            "again, or choose a shorter recording"
        )


def _exceeded(limit: str) -> TaskError:
    return TaskError(
        f"the work takes more than {limit}, which is the limit of this server: choose fewer steps "
        "or a shorter recording"
    )


def _serve(pipe: Connection) -> None:
    """Run jobs until the server ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which ends this process
    threading.Thread(target=_end_with_server, daemon=True).start()
    with suppress(OSError):  # Linux then ends this process, not the server, if memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf8")
    with suppress(EOFError, ConnectionError):
        while True:
            asked = pipe.recv()
            if asked is not None:  # None cancels a job that has ended by itself
                _do(pipe, *asked)


def _end_with_server() -> None:
    """End this process at once when the server is gone, so that no work goes on unseen."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)


def _do(pipe: Connection, job: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    def report(done: int, of: int) -> None:
        if pipe.poll():
            raise CancelledError
        pipe.send((True, (done, of)))

    try:
        pipe.send((False, job(report, *arguments)))
    except Exception as error:
        pipe.send((False, _portable(error)))


def _portable(error: Exception) -> A2SBError:
    """Return an error that can be sent, with its notes in the message."""
    text = "; ".join((str(error), *getattr(error, "__notes__", ())))
    if isinstance(error, CancelledError):
        return CancelledError()
    if isinstance(error, A2SBError):  # plugins may derive errors that cannot be unpickled
        own = (one for one in type(error).__mro__ if one.__module__ == A2SBError.__module__)
        kind: type[A2SBError] = next(own)
        return kind(text)
    traceback.print_exc()
    return A2SBError(f"unexpected error: {type(error).__name__}: {text}")
