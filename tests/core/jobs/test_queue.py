"""The queue: whatever is killed, no job is lost and none is done twice."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import sample_jobs

from a2sb_core.errors import A2SBError
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.queue import JobQueue, QueueFullError, UnknownJobError

HELPERS = Path(sample_jobs.__file__).parent
LIMITS = Limits(work_minutes=1, memory_bytes=2 * 10**9)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


class Bench:
    """A folder of jobs, their recordings, and a log of what workers did."""

    def __init__(self, folder):
        self.folder, self.jobs, self.log = folder, folder / "jobs", folder / "log.txt"
        self.log.write_text("")
        self.queues = []

    def open(self, **more):
        queue = JobQueue(self.jobs, sample_jobs.copy, LIMITS, **more)
        self.queues.append(queue)
        return queue

    def submit(self, queue, name, content="some audio", key=None, **request):
        path = self.folder / name
        path.write_text(content)
        return queue.submit(path, {"log": str(self.log), **request}, key=key).ticket.id

    def logged(self, event):
        lines = map(str.split, self.log.read_text().splitlines())
        return Counter(name for kind, name, *_ in lines if kind == event)

    def close(self):
        for queue in self.queues:
            queue.close()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def ended(queue, id_):
    return queue.wait(id_, threading.Event())


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def text(queue, id_):
    return (queue.result(id_) / "result.txt").read_text()


def test_jobs_are_done_in_order_and_leave_their_result_alone(bench):
    queue, seen = bench.open(), []
    ids = [bench.submit(queue, f"{k}.wav", f"audio {k}", pause_s=0.02) for k in range(3)]
    assert [job.ticket.id for job in queue.jobs()] == ids
    last = queue.wait(ids[2], threading.Event(), seen.append)
    assert list(bench.logged("end").items()) == [("0.wav", 1), ("1.wav", 1), ("2.wav", 1)]
    assert [text(queue, id_) for id_ in ids] == ["audio 0", "audio 1", "audio 2"]
    assert {job.state for job in seen} >= {"queued", "done"}
    assert seen[0].ahead in (1, 2) and any(job.frames == 7 for job in seen)
    assert last.outcome.text == "copied" and last.outcome.started < last.outcome.ended
    left = {path.name for path in (bench.jobs / ids[0]).rglob("*")}
    assert left == {"job.json", "result", "result.txt", "outcome.json"}
    assert (bench.folder / "0.wav").read_text() == "audio 0"
    assert queue.count() == {"done": 3} and queue.ended == {"done": 3} and queue.seconds > 0


def test_two_killed_workers_lose_nothing_and_nothing_is_done_twice(bench):
    queue = bench.open(workers=2)
    ids = [bench.submit(queue, f"{k}.wav", "x" * 20, pause_s=0.01) for k in range(12)]
    for worker in queue.workers:
        until(lambda: bench.logged("begin").total() >= 2 and queue.count().get("running") == 2)
        psutil.Process(worker.pid).kill()
        until(lambda worker=worker: queue.lost_workers >= 1)
    states = [ended(queue, id_) for id_ in ids]
    assert {job.state for job in states} == {"done"}
    assert bench.logged("end") == Counter({f"{k}.wav": 1 for k in range(12)})
    assert bench.logged("begin").total() <= 14 and queue.lost_workers == 2
    assert {text(queue, id_) for id_ in ids} == {"x" * 20}


def test_a_killed_server_loses_nothing_and_nothing_is_done_twice(bench):
    script = f"""
import sys
from pathlib import Path
import sample_jobs
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.queue import JobQueue
if __name__ == "__main__":
    queue = JobQueue(Path({str(bench.jobs)!r}), sample_jobs.copy, Limits(), workers=2)
    for k in range(8):
        path = Path({str(bench.folder)!r}, f"{{k}}.wav")
        path.write_text("x" * 20)
        queue.submit(path, {{"log": {str(bench.log)!r}, "pause_s": 0.01}})
    print(*[worker.pid for worker in queue.workers], flush=True)
    sys.stdin.read()
"""
    path = bench.folder / "server.py"
    path.write_text(script)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HELPERS), *sys.path])}
    server = subprocess.Popen([sys.executable, path], env=environment, stdin=subprocess.PIPE)
    until(lambda: bench.logged("end").total() >= 2)
    with pytest.raises(A2SBError, match="another server uses the folder"):
        bench.open()
    workers = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    server.communicate()
    psutil.wait_procs(workers, timeout=20)
    assert not any(worker.is_running() for worker in workers)
    done = bench.logged("end")
    assert 2 <= done.total() < 8
    queue = bench.open()
    jobs = queue.jobs()
    assert len(jobs) == 8
    assert {ended(queue, job.ticket.id).state for job in jobs} == {"done"}
    assert bench.logged("end") == Counter({f"{k}.wav": 1 for k in range(8)})
    assert bench.logged("begin").total() <= 10


def test_a_closed_queue_goes_on_when_it_is_opened_again(bench):
    queue = bench.open()
    ids = [bench.submit(queue, f"{k}.wav", pause_s=0.05) for k in range(3)]
    until(lambda: queue.get(ids[0]).finished > 2)
    queue.close()
    with pytest.raises(QueueFullError, match="end"):
        bench.submit(queue, "late.wav")
    again = bench.open()
    assert [job.ticket.id for job in again.jobs()] == ids
    assert {ended(again, id_).state for id_ in ids} == {"done"}
    assert text(again, ids[0]) == "some audio"


@pytest.mark.parametrize(("deaths", "refuses"), [(2, False), (1, True)])
def test_a_job_whose_worker_dies_is_continued_or_begun_anew(bench, deaths, refuses):
    queue = bench.open()
    id_ = bench.submit(queue, "a.wav", deaths=deaths, refuses=refuses)
    job = ended(queue, id_)
    assert job.state == "done" and job.outcome.attempts == deaths + 1
    assert text(queue, id_) == "some audio" and queue.lost_workers == deaths


def test_a_job_that_kills_every_worker_fails_and_the_others_go_on(bench):
    queue = bench.open()
    first, second = bench.submit(queue, "a.wav", deaths=9), bench.submit(queue, "b.wav")
    job = ended(queue, first)
    assert job.state == "failed" and "SIGKILL" in job.outcome.error and job.attempts == 3
    assert ended(queue, second).state == "done"
    with_result = [path.name for path in queue.result(first).iterdir()]
    assert with_result == ["outcome.json"]


def test_a_failure_is_kept(bench):
    queue = bench.open()
    id_ = bench.submit(queue, "a.wav", fails=True)
    assert ended(queue, id_).outcome.error == "a.wav is no audio"
    queue.close()
    assert bench.open().get(id_).outcome.error == "a.wav is no audio"
    assert bench.logged("begin").total() == 1


def test_jobs_are_cancelled_dropped_and_removed(bench):
    queue = bench.open()
    ids = [bench.submit(queue, f"{k}.wav", "x" * 1000, pause_s=0.01) for k in range(4)]
    until(lambda: queue.get(ids[0]).state == "running")
    assert queue.cancel(ids[1]).state == "cancelled" and queue.get(ids[2]).ahead == 0
    with pytest.raises(A2SBError, match="has not ended"):
        queue.remove(ids[0])
    queue.cancel(ids[0])
    assert ended(queue, ids[0]).state == "cancelled"
    assert queue.cancel(ids[0]).state == "cancelled"
    until(lambda: queue.get(ids[2]).state == "running")
    queue.drop(ids[2])
    queue.drop(ids[3])
    queue.remove(ids[1])
    until(lambda: len(queue.jobs()) == 1)
    assert [path.name for path in bench.jobs.iterdir() if path.is_dir()] == ids[:1]
    for asked in (queue.get, queue.cancel, queue.remove):
        with pytest.raises(UnknownJobError, match=ids[1]):
            asked(ids[1])
    assert bench.logged("end").total() == 0


def test_a_full_queue_refuses_and_one_key_makes_one_job(bench):
    queue = bench.open(waiting=2)
    first = bench.submit(queue, "a.wav", "x" * 1000, key="mine", pause_s=0.01)
    until(lambda: queue.get(first).state == "running")
    assert bench.submit(queue, "a.wav", key="mine") == first
    bench.submit(queue, "b.wav")
    bench.submit(queue, "c.wav", key="more")
    with pytest.raises(QueueFullError, match="2 jobs wait"):
        bench.submit(queue, "d.wav")
    assert queue.get(bench.submit(queue, "c.wav", key="more")).ahead == 1
    assert len(queue.jobs()) == 3 == len([path for path in bench.jobs.iterdir() if path.is_dir()])


def test_old_jobs_and_remains_are_removed_and_damaged_ones_left(bench):
    queue = bench.open()
    old = bench.submit(queue, "a.wav")
    ended(queue, old)
    queue.close()
    (bench.jobs / ".staged-1").mkdir()
    (bench.jobs / "damaged").mkdir()
    (bench.jobs / "damaged" / "job.json").write_text("{")
    queue = bench.open(keep_s=0.0)
    until(lambda: not queue.jobs())
    until(lambda: sorted(path.name for path in bench.jobs.iterdir()) == ["damaged", "running.lock"])


def test_many_clients_at_once_get_what_is_theirs(bench):
    queue, results = bench.open(workers=2, waiting=100), {}

    def client(number):
        ids = [bench.submit(queue, f"{number}-{k}.wav", f"{number}-{k}") for k in range(4)]
        for k, id_ in enumerate(ids):
            ended(queue, id_)
            results[number, k] = text(queue, id_)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {(n, k): f"{n}-{k}" for n in range(16) for k in range(4)}
    assert set(bench.logged("end").values()) == {1} and bench.logged("end").total() == 64
