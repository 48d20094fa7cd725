"""The processes of the page: whatever happens to a job, the next one is done."""

import os
import signal
import threading
import time
from dataclasses import replace

import page_jobs
import psutil
import pytest

from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.web.job_process import JobProcess
from a2sb_core.web.session import CancelledError, Limits

LIMITS = Limits(work_minutes=10, memory_bytes=2 * 10**9)


@pytest.fixture(scope="module")
def process():
    process = JobProcess()
    yield process
    process.close()


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def run(process, stop):
    def run(job, *arguments, limits=LIMITS, **more):
        return process.run(job, *arguments, limits=limits, stop=stop, **more)

    return run


def test_a_process_is_kept_for_the_next_job(run):
    first, _ = run(page_jobs.keep, "model")
    second, kept = run(page_jobs.keep, "more")
    assert first == second != os.getpid() and kept == ["model", "more"]
    steps = []
    assert run(page_jobs.add, 1, 2, 3, on_step=lambda *step: steps.append(step)) == 6
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("job", "arguments", "kind", "words"),
    [
        (page_jobs.fail, (AudioError("no audio"), "see below"), AudioError, "^no audio; see below"),
        (page_jobs.fail, (MemoryError("too much"),), A2SBError, "MemoryError: too much"),
        (page_jobs.fail_oddly, (), A2SBError, "OddError: 1 and 2"),
        (page_jobs.return_function, (), A2SBError, "unexpected error"),
    ],
)
def test_a_failure_is_told_and_the_process_goes_on(run, process, job, arguments, kind, words):
    run(page_jobs.add)
    before = process.pid
    with pytest.raises(kind, match=words):
        run(job, *arguments)
    assert run(page_jobs.add, 1) == 1 and process.pid == before


@pytest.mark.parametrize(
    ("how", "words"),
    [("killed", "SIGKILL"), ("crashed", "SIGSEGV"), ("left", "code 3"), ("exited", "code 4")],
)
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_process_that_ends_is_replaced(run, process, how, words):
    with pytest.raises(TaskError, match=words):
        run(page_jobs.end, how)
    assert run(page_jobs.add, 1, 2) == 3
    idle = psutil.Process(process.pid)
    idle.kill()
    while idle.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert run(page_jobs.add, 1, 2) == 3 and process.pid != idle.pid


@pytest.mark.parametrize(("job", "stays"), [(page_jobs.sleep, False), (page_jobs.count, True)])
def test_cancelling_ends_a_job_within_seconds(run, process, stop, job, stays, monkeypatch):
    if stays:  # however busy the machine is
        monkeypatch.setattr("a2sb_core.web.job_process.GRACE_S", 60)
    run(page_jobs.add)
    system, started = psutil.Process(process.pid), time.monotonic()
    with pytest.raises(CancelledError):
        run(job, 60, on_step=lambda done, of: stop.set())
    assert time.monotonic() - started < 30
    assert system.is_running() == stays  # the loaded model is kept if the job ends by itself
    with pytest.raises(CancelledError):
        run(page_jobs.add, 1)
    stop.clear()
    assert run(page_jobs.add, 1, 2) == 3


def test_limits_of_time_and_memory_end_a_job(run, process):
    run(page_jobs.add)
    used = psutil.Process(process.pid).memory_info().rss
    with pytest.raises(TaskError, match="of memory, which is the limit"):
        run(page_jobs.fill, 2000, limits=replace(LIMITS, memory_bytes=used + 10**8))
    assert run(page_jobs.fill, 10) == 10**7
    with pytest.raises(TaskError, match=r"0\.005 minutes"):
        run(page_jobs.count, 60, limits=replace(LIMITS, work_minutes=0.005))
    assert run(page_jobs.add, 1, 2) == 3


def test_the_end_of_the_page_ends_the_process(run, process):
    run(page_jobs.add)
    system = psutil.Process(process.pid)
    ended = threading.Timer(0.5, process.close)
    ended.start()
    with pytest.raises(TaskError, match="SIGKILL" if hasattr(signal, "SIGKILL") else "ended"):
        run(page_jobs.sleep, 60)
    assert not system.is_running()
