"""Output of commands: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160
"""Columns of output that is not a terminal, so that the lines of a table are not folded."""

EVERY_S = 30.0
"""Seconds between lines of progress if the output is not a terminal."""


def console(stderr: bool = False) -> Console:
    """Return a console of the width of the terminal, or a wide one without a terminal."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDE)


def print_json(value: Any, err: bool = False) -> None:
    """Print one JSON document; numbers that are not finite become null."""
    typer.echo(json.dumps(_finite(value), indent=2, default=str), err=err)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print plain columns; the import of rich would take longer than everything else."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


@contextmanager
def restoring(style: str, quiet: bool) -> Iterator[Callable[..., None]]:
    """Show the progress of a restoration for people (``auto``) or for programs (``json``).

    Yields:
        A function to call with (done, of); ``of`` is 0 if the total is unknown.
    """
    if style == "auto":
        with progress("restoring", quiet) as update:
            yield update
        return
    started = time.monotonic()

    def print_line(done: int, of: int) -> None:
        line = {"done": done, "of": of or None, "seconds": round(time.monotonic() - started, 3)}
        typer.echo(json.dumps(line), err=True)

    yield print_line


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """Show progress and the remaining time on stderr: a bar on a terminal, else lines.

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
    """Lines of progress for output without a terminal."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.printed = time.monotonic()

    def update(self, done: int, of: int, description: str) -> None:
        """Print a line if the last one is old enough; the speed is measured from the first call."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        started, before = self.first
        if now - self.printed < EVERY_S or not before < done < of:
            return
        left = timedelta(seconds=round((now - started) / (done - before) * (of - done)))
        typer.echo(f"{description}: {100 * done // of} %, {left} left", err=True)
        self.printed = now
