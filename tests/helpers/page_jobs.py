"""Jobs for the processes of the page, which import nothing heavy."""

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
