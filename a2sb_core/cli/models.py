"""``a2sb models``: all models there are, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.output import print_json

if TYPE_CHECKING:
    from a2sb_core.engine.catalogue import Listed


def models(
    cache_dir: Annotated[
        Path | None, typer.Option(help="In place of the hub's cache folder.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List models: shipped ones, those in the hub's cache, and those to download."""
    from a2sb_core.engine.catalogue import list_models

    listed = list_models(cache_dir)
    if as_json:
        print_json({"models": [_as_dict(model) for model in listed]})
        return
    head = ("name", "tasks", "parameters", "size", "licence", "where")
    _print_columns([head, *map(_row, listed)])
    _print_figures(listed)
    for model in listed:
        if model.problem:
            typer.echo(f"\nbroken: {model.name}: {model.problem}")


def format_bytes(count: int | None) -> str:
    """Return a size for people, in decimal units."""
    if count is None:
        return "?"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.{1 if count < 100 * size else 0}f} {unit}"
    return f"{count} B"


def _as_dict(model: Listed) -> dict[str, Any]:
    licence = model.card.licence
    return {
        "name": model.name, "summary": model.summary, "tasks": model.facts.tasks,
        "parameters": model.facts.parameters, "bytes": model.facts.bytes,
        "licence": {"id": licence.id or None, "name": licence.name or None,
                    "link": licence.link or None, "free": licence.is_free},
        "figures": [vars(figure) for figure in model.figures],
        "state": model.state, "folder": model.folder, "source": model.source,
        "problem": model.problem or None,
    }


def _row(model: Listed) -> tuple[str, ...]:
    count, where = model.facts.parameters, model.state
    if model.state == "to download":
        where += f": a2sb download {model.name}"
    elif model.folder is not None and model.state not in ("shipped", "broken"):
        where += f": {model.folder}"
    return (
        model.name, ", ".join(model.facts.tasks), "?" if count is None else f"{count / 1e6:.1f} M",
        format_bytes(model.facts.bytes), str(model.card.licence), where,
    )


def _print_figures(listed: Sequence[Listed]) -> None:
    """Print a line for each model, task and set of clips, a column for each metric."""
    metrics = list(dict.fromkeys(one.metric for model in listed for one in model.figures))
    rows = [("figures", "task", *metrics, "measured on")]
    for model in listed:
        for key in dict.fromkeys((one.task, one.data, one.source) for one in model.figures):
            found = {
                one.metric: f"{one.value:g}" for one in model.figures
                if (one.task, one.data, one.source) == key
            }
            task, data, source = key
            told = f"{data} ({source})" if source else data
            rows.append((model.name, task, *(found.get(name, "") for name in metrics), told))
    if len(rows) > 1:
        typer.echo("")
        _print_columns(rows)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
