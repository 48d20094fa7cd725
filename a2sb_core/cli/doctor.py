"""``a2sb doctor``: whether this machine restores, and what to do where it does not."""

from __future__ import annotations

from typing import Annotated

import typer

from a2sb_core.cli import completing
from a2sb_core.cli.output import print_json


def doctor(
    device: Annotated[
        str, typer.Option(help="Of the self-test: auto, cpu, cuda, cuda:1, mps.",
                          autocompletion=completing.devices)
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at versions, devices, memory and plugins, and restore a moment of made sound.

    Tells what to do about each problem; exit code 1 where something is broken.
    """
    from dataclasses import asdict

    from a2sb_core.engine.health import examine

    checks = []
    for check in examine(device):
        checks.append(check)
        if not as_json:
            typer.echo(f"{check.state:<7} {check.name}: {check.told}")
            if check.advice:
                typer.echo(f"          do: {check.advice}")
    broken = sum(check.state == "broken" for check in checks)
    if as_json:
        print_json({"healthy": not broken, "checks": [asdict(check) for check in checks]})
    else:
        notes = sum(check.state == "note" for check in checks)
        typer.echo(f"\n{broken} faults, {notes} notes")
    if broken:
        raise typer.Exit(1)
