"""Code of plugins: its output and its exits stay apart from the program that runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from a2sb_core.common.text import printable_text
from a2sb_core.errors import PluginError

_lock = threading.Lock()
_inside, _usual_stdout = 0, sys.stdout
_usual_exit, _process = os._exit, 0


class PluginExitError(PluginError):
    """The code of a plugin tried to end the program."""


def describe(error: BaseException) -> str:
    """Describe an exception, with control characters escaped."""
    return printable_text(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def foreign_code(name: str = "") -> Iterator[None]:
    """Run code of a plugin, which cannot end the program, except by a crash.

    Its output goes to stderr, since that of a command may be JSON. Ctrl-C still ends the program.

    Args:
        name: whose code it is, which Ctrl-C then reports.

    Raises:
        PluginExitError: the code called ``os._exit`` or raised an exception that is no
            :class:`Exception`, such as SystemExit or KeyboardInterrupt.
    """
    with _interrupts() as pressed, _contained():
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if pressed and isinstance(error, KeyboardInterrupt):
                if name:
                    error.add_note(f"{name} was being loaded")
                raise
            raise PluginExitError(describe(error)) from error


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Redirect stdout and ``os._exit`` until the last thread that asked for it is done."""
    global _inside, _usual_stdout, _process
    with _lock:
        if not _inside:
            _usual_stdout, sys.stdout = sys.stdout, sys.stderr
            os._exit, _process = _refuse_exit, os.getpid()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                sys.stdout, os._exit = _usual_stdout, _usual_exit


def _refuse_exit(status: int) -> NoReturn:
    if os.getpid() != _process:  # a process that was forked meanwhile ends in this way
        _usual_exit(status)
    raise PluginExitError(f"it called os._exit({status})")


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Yield a list to which each Ctrl-C adds an element before it has its usual effect."""
    pressed: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield pressed
        return

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, usual)
