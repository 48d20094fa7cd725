"""What commands print: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160
"""Columns where the output is no terminal: lines of a table are not to be folded for nobody."""

EVERY_S = 30.0
"""Where the output is no terminal, progress is a line so many seconds."""


def console(stderr: bool = False) -> Console:
    """Return a console of the terminal's width, or a wide one."""
    from rich.console import Console

    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=WIDE)


class Progress(StrEnum):
    """How progress is shown."""

    auto = "auto"
    json = "json"


def print_json(value: Any, err: bool = False) -> None:
    """Print one JSON document; what is not finite becomes null, as JSON has no name for it."""
    typer.echo(json.dumps(_finite(value), indent=2, default=str), err=err)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


@contextmanager
def showing(how: Progress, quiet: bool) -> Iterator[Callable[..., None]]:
    """Show the progress of a restoration for people or for programs.

    Yields:
        A function to call with (done, of); ``of`` is 0 where the end is not known.
    """
    if how is Progress.auto:
        with progress("restoring", quiet) as update:
            yield update
        return
    started = time.monotonic()

    def tell(done: int, of: int) -> None:
        line = {"done": done, "of": of or None, "seconds": round(time.monotonic() - started, 3)}
        typer.echo(json.dumps(line), err=True)

    yield tell


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """Show progress and the time left on stderr: a bar on a terminal, else a line now and then.

    Yields:
        A function to call with (done, of), and optionally another description.
    """
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.progress import TimeRemainingColumn as TimeLeft

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeLeft())
    with Bar(*columns, console=screen, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        lines = _Lines()

        def update(done: int, of: int, description: str = what) -> None:
            bar.update(task, completed=done, total=of or None, description=description)
            if not quiet and not screen.is_terminal:
                lines.update(done, of, description)

        yield update


class _Lines:
    """Progress where there is no terminal."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.told = time.monotonic()

    def update(self, done: int, of: int, description: str) -> None:
        """Print a line if the last one is old enough; the pace is that since the first call."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        started, before = self.first
        if now - self.told < EVERY_S or not before < done < of:
            return
        left = timedelta(seconds=round((now - started) / (done - before) * (of - done)))
        typer.echo(f"{description}: {100 * done // of} %, {left} left", err=True)
        self.told = now
