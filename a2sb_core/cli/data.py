"""``a2sb data``: manifests for training from copies of public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a2sb_core.cli.options import JsonOption, QuietOption
from a2sb_core.cli.output import print_columns, print_json

app = typer.Typer(no_args_is_help=True, help="Make manifests of public data sets.")

SetsOption = Annotated[
    Path | None,
    typer.Option(
        "--sets", metavar="FILE", show_default=False, help="YAML file that describes more sets."
    ),
]


@app.callback()
def _data() -> None:
    """Make manifests for training from copies of public data sets."""


@app.command("list")
def list_sets(sets: SetsOption = None, as_json: JsonOption = False) -> None:
    """List the known data sets with their stages and licences."""
    from a2sb_core.training.curation.public_sets import load_sets

    known = load_sets(sets)
    if as_json:
        print_json(known.model_dump(mode="json"))
        return
    head = ("name", "title", "stages", "licence", "home")
    rows = (
        (name, one.title, ", ".join(one.stages), one.licence, one.home)
        for name, one in known.sets.items()
    )
    print_columns([head, *rows])


@app.command()
def make(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="SET=FOLDER...", help="Data sets, and the folders that hold them."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", show_default=False, help="New folder."),
    ],
    sets: SetsOption = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET=LICENCE",
            help="Licence of all files of a set, where the list does not know it; repeatable.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LICENCE",
            show_default="CC0, CC-BY, PD, MIT, BSD, Apache-2.0",
            help="Licence of files that are used; repeatable.",
        ),
    ] = None,
    min_hz: Annotated[
        float, typer.Option(min=0, help="Frequency in Hz up to which a file must have content.")
    ] = 0.0,
    validation: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the authors whose files are for validation."),
    ] = 0.01,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    quiet: QuietOption = False,
) -> None:
    """Write a manifest for each data set, with licences checked and bandwidths measured."""
    from a2sb_core.training.curation.licences import PERMISSIVE
    from a2sb_core.training.curation.making import Rules, curate, summary
    from a2sb_core.training.curation.public_sets import load_sets

    places = {name: Path(text) for name, text in _pairs(folders).items()}
    rules = Rules(allow or PERMISSIVE, _pairs(licence or []), min_hz, validation, jobs)

    def report(total: int, name: str, done: int) -> None:
        if not quiet and (done == total or done % 100 == 0):
            typer.echo(f"{name}: {done} of {total} files", err=True)

    typer.echo(summary(curate(load_sets(sets), places, output, rules, report)))
    typer.echo(f"wrote {output}")


def _pairs(texts: list[str]) -> dict[str, str]:
    """Split texts such as ``fma=/data/fma``."""
    from a2sb_core.errors import ConfigError

    pairs = [text.partition("=") for text in texts]
    for text, (name, _, value) in zip(texts, pairs, strict=True):
        if not name or not value:
            raise ConfigError(f"`{text}` is not NAME=VALUE, such as fma=/data/fma")
    return {name: value for name, _, value in pairs}
