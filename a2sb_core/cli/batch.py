"""``a2sb restore`` of many files: one model, one report, and failures that stop nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from a2sb_core.cli.exit_codes import INTERRUPTED, SOME_FAILED
from a2sb_core.cli.output import console
from a2sb_core.common.text import printable
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    from a2sb_core.batch.local import Engine, FileOutcome
    from a2sb_core.batch.pairing import Pair
    from a2sb_core.cli.options import FileOptions, ShownOptions

STATUS_WORDS = {
    "restored": "restored",
    "nothing": "without damage",
    "skipped": "skipped",
    "failed": "failed",
    "left": "left undone",
}


def restore_all(pairs: list[Pair], files: FileOptions, shown: ShownOptions, engine: Engine) -> None:
    """Restore files, print a summary, and exit with a code that says how it went.

    Raises:
        AudioError: outputs exist, and are neither replaced nor skipped.
        typer.Exit: code 3 if some failed, 130 if interrupted.
    """
    from a2sb_core.batch.report import check_report, write_report

    if shown.report is not None:
        check_report(shown.report)
    _refuse_existing(pairs, files)
    started = time.monotonic()
    outcomes = _run(pairs, shown, engine)
    seconds = time.monotonic() - started
    if not shown.quiet:
        _summary(outcomes, seconds)
    if shown.report is not None:
        write_report(shown.report, outcomes, seconds)
    counts = Counter(outcome.status for outcome in outcomes)
    if counts["left"]:
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(SOME_FAILED)


def _refuse_existing(pairs: list[Pair], files: FileOptions) -> None:
    if files.overwrite or files.skip_existing:
        return
    if existing := [pair.output for pair in pairs if pair.exists()]:
        raise AudioError(
            f"{len(existing)} of {len(pairs)} outputs exist already, such as {existing[0]}; leave "
            "them with --skip-existing, or replace them with --overwrite"
        )


def _run(pairs: list[Pair], shown: ShownOptions, engine: Engine) -> list[FileOutcome]:
    from a2sb_core.batch.local import FileOutcome

    outcomes: list[FileOutcome] = []
    with _showing(len(pairs), shown) as bars:
        try:
            for outcome in engine(pairs, bars):
                outcomes.append(outcome)
                bars.on_file(len(outcomes), outcome)
        except KeyboardInterrupt:
            finished = {outcome.pair for outcome in outcomes}
            outcomes += [FileOutcome(pair, "left") for pair in pairs if pair not in finished]
    return outcomes


@contextmanager
def _showing(files: int, shown: ShownOptions) -> Iterator[Any]:
    """Show a bar for all files and one for the current file, or lines without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from a2sb_core.batch.report import as_dict
    from a2sb_core.restoration.listener import Listener

    screen = console(stderr=True)
    is_hidden = shown.quiet or shown.progress == "json" or not screen.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=screen, disable=is_hidden, transient=True) as bars:
        whole, one = bars.add_task("files", total=files), bars.add_task("this file", total=None)

        class Bars(Listener):
            def on_file(self, done: int, outcome: FileOutcome) -> None:
                bars.update(whole, completed=done)
                bars.update(one, completed=0, total=None)
                if shown.progress == "json":
                    entry = {"files": done, "of": files, **as_dict(outcome)}
                    typer.echo(json.dumps(entry), err=True)
                elif not shown.quiet and outcome.status != "skipped":
                    line = _line(done, files, outcome)
                    bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

            def on_progress(self, done: int, of: int) -> None:
                bars.update(one, completed=done, total=of or None)

        yield Bars()


def _line(done: int, files: int, outcome: FileOutcome) -> str:
    from a2sb_core.batch.report import failure

    name, target = printable(outcome.pair.source), printable(outcome.pair.output)
    text = {
        "restored": f"wrote {target} in {outcome.seconds:.1f} s",
        "nothing": f"{name}: nothing to restore, copied to {target}",
        "failed": f"failed: {failure(outcome)}",
    }[outcome.status]
    return ": ".join((f"{done} of {files}: {text}", *map(printable, outcome.notes)))


def _summary(outcomes: list[FileOutcome], seconds: float) -> None:
    from a2sb_core.batch.report import failure

    counts = Counter(str(outcome.status) for outcome in outcomes)
    parts = [f"{counts[one]} {word}" for one, word in STATUS_WORDS.items() if counts[one]]
    typer.echo(f"{len(outcomes)} files in {seconds:.1f} s: {', '.join(parts)}")
    for outcome in outcomes:
        if outcome.status == "failed":
            typer.echo(f"- {failure(outcome)}")
