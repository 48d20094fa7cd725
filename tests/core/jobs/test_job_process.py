"""Workers: whatever happens to a job, the next one is done."""

import os
import signal
import threading
import time
from dataclasses import replace

import psutil
import pytest
import sample_jobs

from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.jobs.job_process import CancelledError, JobProcess
from a2sb_core.jobs.limits import Limits

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
    first, _ = run(sample_jobs.keep, "model")
    second, kept = run(sample_jobs.keep, "more")
    assert first == second != os.getpid() and kept == ["model", "more"]
    steps = []
    assert run(sample_jobs.add, 1, 2, 3, on_step=lambda *step: steps.append(step)) == 6
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("job", "arguments", "kind", "words"),
    [
        (
            sample_jobs.fail,
            (AudioError("no audio"), "see below"),
            AudioError,
            "^no audio; see below",
        ),
        (sample_jobs.fail, (MemoryError("too much"),), A2SBError, "MemoryError: too much"),
        (sample_jobs.fail_oddly, (), A2SBError, "OddError: 1 and 2"),
        (sample_jobs.return_function, (), A2SBError, "unexpected error"),
    ],
)
def test_a_failure_is_told_and_the_process_goes_on(run, process, job, arguments, kind, words):
    run(sample_jobs.add)
    before = process.pid
    with pytest.raises(kind, match=words):
        run(job, *arguments)
    assert run(sample_jobs.add, 1) == 1 and process.pid == before


@pytest.mark.parametrize(
    ("how", "words"),
    [("killed", "SIGKILL"), ("crashed", "SIGSEGV"), ("left", "code 3"), ("exited", "code 4")],
)
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_process_that_ends_is_replaced(run, process, how, words):
    with pytest.raises(TaskError, match=words):
        run(sample_jobs.end, how)
    assert run(sample_jobs.add, 1, 2) == 3
    idle = psutil.Process(process.pid)
    idle.kill()
    while idle.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert run(sample_jobs.add, 1, 2) == 3 and process.pid != idle.pid


@pytest.mark.parametrize(("job", "stays"), [(sample_jobs.sleep, False), (sample_jobs.count, True)])
def test_cancelling_ends_a_job_within_seconds(run, process, stop, job, stays, monkeypatch):
    if stays:  # however busy the machine is
        monkeypatch.setattr("a2sb_core.jobs.job_process.GRACE_S", 60)
    run(sample_jobs.add)
    system, started = psutil.Process(process.pid), time.monotonic()
    with pytest.raises(CancelledError):
        run(job, 60, on_step=lambda done, of: stop.set())
    assert time.monotonic() - started < 30
    assert system.is_running() == stays  # the loaded model is kept if the job ends by itself
    with pytest.raises(CancelledError):
        run(sample_jobs.add, 1)
    stop.clear()
    assert run(sample_jobs.add, 1, 2) == 3


def test_limits_of_time_and_memory_end_a_job(run, process):
    run(sample_jobs.add)
    used = psutil.Process(process.pid).memory_info().rss
    with pytest.raises(TaskError, match="of memory, which is the limit"):
        run(sample_jobs.fill, 2000, limits=replace(LIMITS, memory_bytes=used + 10**8))
    assert run(sample_jobs.fill, 10) == 10**7
    with pytest.raises(TaskError, match=r"0\.005 minutes"):
        run(sample_jobs.count, 60, limits=replace(LIMITS, work_minutes=0.005))
    assert run(sample_jobs.add, 1, 2) == 3


def test_the_end_of_the_page_ends_the_process(run, process):
    run(sample_jobs.add)
    system = psutil.Process(process.pid)
    ended = threading.Timer(0.5, process.close)
    ended.start()
    with pytest.raises(TaskError, match="SIGKILL" if hasattr(signal, "SIGKILL") else "ended"):
        run(sample_jobs.sleep, 60)
    assert not system.is_running()
