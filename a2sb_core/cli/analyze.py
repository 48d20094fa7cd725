"""``a2sb analyze``: the format of a file, its level and its damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.options import JsonOption, ModelOption
from a2sb_core.cli.output import console, print_json
from a2sb_core.common.text import printable
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    from a2sb_core.restoration.analysis import Analysis

SHOWN_NOTES = 20
"""Number of notes on a task that people see; JSON has all."""


def analyze(
    file: Annotated[Path, typer.Argument(help="An audio file.")],
    model: ModelOption = DEFAULT_MODEL,
    task: Annotated[
        list[str] | None,
        typer.Option(
            show_default="all tasks of the model",
            autocompletion=completion.tasks,
            help="Task whose damage to look for; repeatable.",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="File to draw a spectrogram to, with the damage marked."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing figure.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Report the format and level of a file, and the damage that `restore` would find in it."""
    from a2sb_core.restoration.analysis import Analyzer

    if figure is not None and figure.exists() and not overwrite:
        raise AudioError(f"{figure} exists already; choose another name, or use --overwrite")
    found = Analyzer(model).analyze(file, task or ())
    if figure is not None:
        from a2sb_core.plotting.analysis import draw_analysis

        draw_analysis(figure, found)
    if as_json:
        print_json(found.as_dict())
        return

    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in _lines(found):
        table.add_row(name, Text(value))
    console().print(table, highlight=False)


def _lines(found: Analysis) -> Iterator[tuple[str, str]]:
    """Yield the lines of the report."""
    yield "file", printable(found.path)
    yield "sample rate", f"{found.info.sample_rate} Hz"
    yield "channels", str(found.info.channels)
    yield "duration", f"{found.info.duration_s:.2f} s"
    yield "peak", f"{found.peak_dbfs:.1f} dBFS"
    yield "RMS", f"{found.rms_dbfs:.1f} dBFS"
    for one in found.findings:
        yield one.task, one.describe()
        yield from (("", note) for note in one.notes[:SHOWN_NOTES])
        if len(one.notes) > SHOWN_NOTES:
            yield "", f"and {len(one.notes) - SHOWN_NOTES} more; --json has all"
