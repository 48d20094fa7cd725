"""``a2sb models``: lists the available models and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import print_columns, print_json
from a2sb_core.common.text import format_bytes, format_count

if TYPE_CHECKING:
    from a2sb_core.models.catalogue import Listed

CacheDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        show_default=False,
        help="Cache folder of downloads (default: that of the Hugging Face hub).",
    ),
]


def models(cache_dir: CacheDirOption = None, as_json: JsonOption = False) -> None:
    """List models that are shipped, in the cache of the hub, or available for download."""
    from a2sb_core.models.catalogue import list_models

    listed = list_models(cache_dir)
    if as_json:
        print_json({"models": [_as_dict(model) for model in listed]})
        return
    head = ("name", "tasks", "parameters", "size", "licence", "where")
    print_columns([head, *map(_row, listed)])
    _print_figures(listed)
    for model in listed:
        if model.problem:
            typer.echo(f"\nbroken: {model.name}: {model.problem}")


def _as_dict(model: Listed) -> dict[str, Any]:
    licence = model.card.licence
    return {
        "name": model.name,
        "summary": model.summary,
        "tasks": model.facts.tasks,
        "parameters": model.facts.parameters,
        "bytes": model.facts.bytes,
        "licence": {
            "id": licence.id or None,
            "name": licence.name or None,
            "link": licence.link or None,
            "free": licence.is_free,
        },
        "figures": [vars(figure) for figure in model.card.figures],
        "state": model.state,
        "folder": model.folder,
        "source": model.source,
        "problem": model.problem or None,
    }


def _row(model: Listed) -> tuple[str, ...]:
    facts, where = model.facts, model.state
    if model.state == "to download":
        where += f": a2sb download {model.name}"
    elif model.folder is not None and model.state not in ("shipped", "broken"):
        where += f": {model.folder}"
    return (
        model.name,
        ", ".join(facts.tasks),
        "?" if facts.parameters is None else format_count(facts.parameters),
        "?" if facts.bytes is None else format_bytes(facts.bytes),
        str(model.card.licence),
        where,
    )


def _print_figures(listed: Sequence[Listed]) -> None:
    """Print a table for each set of clips: a line for each model and task, a column a metric."""
    figures = [(model.name, one) for model in listed for one in model.card.figures]
    for data, source in dict.fromkeys((one.data, one.source) for _, one in figures):
        mine = [(name, one) for name, one in figures if (one.data, one.source) == (data, source)]
        metrics = list(dict.fromkeys(one.metric for _, one in mine))
        found = {(name, one.task, one.metric): f"{one.value:g}" for name, one in mine}
        rows = [
            (*place, *(found.get((*place, metric), "") for metric in metrics))
            for place in dict.fromkeys((name, one.task) for name, one in mine)
        ]
        typer.echo(f"\nmeasured on {data}{f' ({source})' if source else ''}:")
        print_columns([("model", "task", *metrics), *rows])
