"""``a2sb restore`` of many files: one model, one report, and failures that stop nothing."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from a2sb_core.cli.output import Progress, console
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    from a2sb_core.engine.batch import Engine, Outcome, Pair, Status

SOME_FAILED = 3
"""Exit code where some files failed; the others are done."""

INTERRUPTED = 130


@dataclass(frozen=True)
class Options:
    """What is done with files that are there, and what is told."""

    overwrite: bool = False
    skip_existing: bool = False
    report: Path | None = None
    progress: Progress = Progress.auto
    quiet: bool = False


def restore_all(pairs: list[Pair], options: Options, engine: Engine) -> None:
    """Restore files, print a summary, and exit with a code that says how it went.

    Raises:
        AudioError: targets are there, and neither replaced nor skipped.
        typer.Exit: code 3 if some failed, 130 if interrupted.
    """
    _refuse_existing(pairs, options)
    started = time.monotonic()
    outcomes = _run(pairs, options, engine)
    if not options.quiet:
        _summary(outcomes, time.monotonic() - started)
    if options.report is not None:
        _write_report(options.report, outcomes, time.monotonic() - started)
    counts = Counter(outcome.status for outcome in outcomes)
    if counts["left"]:
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(SOME_FAILED)


def _refuse_existing(pairs: list[Pair], options: Options) -> None:
    if options.overwrite or options.skip_existing:
        return
    if there := [pair.output for pair in pairs if pair.exists()]:
        raise AudioError(
            f"{len(there)} of {len(pairs)} outputs exist already, such as {there[0]}; leave them "
            "with --skip-existing, or replace them with --overwrite"
        )


def _run(pairs: list[Pair], options: Options, engine: Engine) -> list[Outcome]:
    from a2sb_core.engine.batch import Outcome

    outcomes: list[Outcome] = []
    with _showing(len(pairs), options) as (on_file, on_step):
        try:
            for outcome in engine(pairs, on_step):
                outcomes.append(outcome)
                on_file(len(outcomes), outcome)
        except KeyboardInterrupt:
            told = {outcome.pair for outcome in outcomes}
            outcomes += [Outcome(pair, "left") for pair in pairs if pair not in told]
    return outcomes


def shown(path: str | Path) -> str:
    """Return a path for people: line breaks and what is no text escaped."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def _showing(
    files: int, options: Options
) -> Iterator[tuple[Callable[[int, Outcome], None], Callable[..., None]]]:
    """Show a bar for the whole and one for the file, or lines where there is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    screen = console(stderr=True)
    is_hidden = options.quiet or options.progress is Progress.json or not screen.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=screen, disable=is_hidden, transient=True) as bars:
        whole, one = bars.add_task("files", total=files), bars.add_task("this file", total=None)

        def on_file(done: int, outcome: Outcome) -> None:
            bars.update(whole, completed=done)
            bars.update(one, completed=0, total=None)
            if options.progress is Progress.json:
                typer.echo(json.dumps({"files": done, "of": files, **as_json(outcome)}), err=True)
            elif not options.quiet and outcome.status != "skipped":
                bars.console.print(_line(done, files, outcome), markup=False, highlight=False,
                                   soft_wrap=True)

        def on_step(done: int, of: int) -> None:
            bars.update(one, completed=done, total=of or None)

        yield on_file, on_step


def _line(done: int, files: int, outcome: Outcome) -> str:
    name, target = shown(outcome.pair.source), shown(outcome.pair.output)
    said = {
        "restored": f"wrote {target} in {outcome.seconds:.1f} s",
        "nothing": f"{name}: nothing to restore, copied to {target}",
        "failed": f"failed: {_failure(outcome)}",
    }[outcome.status]
    return ": ".join((f"{done} of {files}: {said}", *outcome.notes))


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return what became of a file, for programs."""
    return {
        "input": shown(outcome.pair.source), "output": shown(outcome.pair.output),
        "status": outcome.status, "found": outcome.found, "error": outcome.error or None,
        "seconds": round(outcome.seconds, 3), "notes": list(outcome.notes),
    }


def _summary(outcomes: list[Outcome], seconds: float) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    words: dict[Status, str] = {
        "restored": "restored", "nothing": "without damage", "skipped": "there already",
        "failed": "failed", "left": "left undone",
    }
    told = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
    typer.echo(f"{len(outcomes)} files in {seconds:.1f} s: {', '.join(told)}")
    for outcome in outcomes:
        if outcome.status == "failed":
            typer.echo(f"- {_failure(outcome)}")


def _failure(outcome: Outcome) -> str:
    """Most messages name the file themselves."""
    name = shown(outcome.pair.source)
    return outcome.error if name in outcome.error else f"{name}: {outcome.error}"


def _write_report(path: Path, outcomes: list[Outcome], seconds: float) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    report = {
        "seconds": round(seconds, 3), "counts": dict(counts),
        "files": [as_json(outcome) for outcome in outcomes],
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise AudioError(f"the report {path} can not be written: {error.strerror}") from error
