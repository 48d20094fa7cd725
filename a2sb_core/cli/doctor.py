"""``a2sb doctor``: whether this machine can restore, and what to do if not."""

from __future__ import annotations

from typing import Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.exit_codes import ERROR
from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import print_json


def doctor(
    device: Annotated[
        str,
        typer.Option(
            help="Device of the self-test: auto, cpu, cuda, cuda:1 or mps.",
            autocompletion=completion.devices,
        ),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Check versions, devices, memory and plugins, and restore a short test sound.

    Each problem is printed with advice. The exit code is 1 if something is broken.
    """
    from dataclasses import asdict

    from a2sb_core.doctor.checks import examine

    checks = []
    for check in examine(device):
        checks.append(check)
        if not as_json:
            typer.echo(f"{check.state:<7} {check.name}: {check.message}")
            if check.advice:
                typer.echo(f"          advice: {check.advice}")
    broken = sum(check.state == "broken" for check in checks)
    if as_json:
        print_json({"healthy": not broken, "checks": [asdict(check) for check in checks]})
    else:
        notes = sum(check.state == "note" for check in checks)
        typer.echo(f"\n{broken} faults, {notes} notes")
    if broken:
        raise typer.Exit(ERROR)
