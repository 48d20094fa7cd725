"""Jobs for workers, which import nothing heavy."""

import os
import signal
import sys
import time

kept = []


class OddError(ValueError):
    """An error that cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def add(report, *numbers):
    for done in range(len(numbers)):
        report(done + 1, len(numbers))
    return sum(numbers)


def keep(report, value):
    """Return what earlier jobs of this process have kept."""
    kept.append(value)
    return os.getpid(), list(kept)


def sleep(report, seconds):
    report(1, 2)
    time.sleep(seconds)


def count(report, seconds):
    """Report progress for some time."""
    for done in range(int(100 * seconds)):
        report(done, 0)
        time.sleep(0.01)


def fill(report, megabytes):
    filled = bytearray()
    for _ in range(megabytes):
        filled += b"x" * 10**6
        time.sleep(0.001)
    return len(filled)


def fail(report, error, *notes):
    for note in notes:
        error.add_note(note)
    raise error


def fail_oddly(report):
    raise OddError(1, 2)


def return_function(report):
    return lambda: None


def end(report, how):
    {
        "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "crashed": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "left": lambda: os._exit(3),
        "exited": lambda: sys.exit(4),
    }[how]()


def note(path, *words):
    """Append a line to a log that several processes write."""
    with open(path, "a", encoding="utf8") as log:
        log.write(" ".join(map(str, words)) + "\n")


def copy(report, source, room, request):
    """Do a job of a queue: copy the recording slowly, in blocks; log the begin and the end.

    ``deaths``: number of attempts that end with the death of the worker. ``refuses``: refuse to
    continue what a killed attempt has left.
    """
    from a2sb_core.errors import AudioError
    from a2sb_core.jobs.records import JobOutcome

    log, target = request["log"], room / "result.txt"
    earlier = target.read_text() if target.exists() else ""
    note(log, "begin", source.name, len(earlier))
    if earlier and request.get("refuses"):
        raise AudioError("it cannot be continued")
    if request.get("fails"):
        raise AudioError(f"{source.name} is no audio")
    content = source.read_text()
    with target.open("a") as file:
        for done in range(len(earlier), len(content)):
            file.write(content[done])
            file.flush()
            report(done + 1, len(content))
            time.sleep(request.get("pause_s", 0.0))
            half = max(len(content) // 2, len(earlier))
            if done == half and begins(log, source.name) <= request.get("deaths", 0):
                os.kill(os.getpid(), signal.SIGKILL)
    note(log, "end", source.name)
    return JobOutcome(target=target.name, text="copied")


def begins(log, name):
    """Return how often a job began."""
    with open(log, encoding="utf8") as lines:
        return sum(line.split()[:2] == ["begin", name] for line in lines)
