"""``a2sb plugins``: what is registered, and what could not be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completing
from a2sb_core.cli.output import print_json

if TYPE_CHECKING:
    from a2sb_core.plugins import Registry

app = typer.Typer(no_args_is_help=True, help="Components, and the plugins they come from.")


@app.callback()
def _plugins() -> None:
    """Components, and the plugins they come from."""


@app.command("list")
def list_plugins(
    kind: Annotated[
        str | None, typer.Option(help="Only this kind, such as sampler.",
                                 autocompletion=completing.every_kind)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List components by kind, and plugins that failed to load."""
    from a2sb_core.plugins import default_registry

    registry = default_registry()
    if as_json:
        fields = ("kind", "name", "summary", "target", "plugin", "distribution", "version")
        print_json({
            "components": [
                {field: getattr(entry, field) for field in fields}
                for entry in registry.entries(kind)
            ],
            "failures": [
                {field: getattr(failure, field)
                 for field in ("plugin", "distribution", "version", "reason")}
                for failure in registry.failures
            ],
        })
        return
    _print_table(registry, kind)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import everything the plugins add; tell what is wrong and what to do (exit code 1)."""
    from dataclasses import asdict

    from a2sb_core.plugins import default_registry
    from a2sb_core.plugins.doctor import examine

    registry = default_registry()
    findings = examine(registry)
    broken = sum(finding.is_broken for finding in findings)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            state = "broken" if finding.is_broken else "note"
            origin = f"{finding.distribution} {finding.version}".rstrip()
            typer.echo(f"{state}: plugin `{finding.plugin}` of {origin}")
            typer.echo(f"  what: {finding.what}\n  do:   {finding.advice}\n")
        strangers = {entry.distribution for entry in registry.entries() if not entry.builtin}
        typer.echo(f"{len(strangers)} installed distributions add something; "
                   f"{broken} faults, {len(findings) - broken} notes")
    if broken:
        raise typer.Exit(1)


@app.command()
def check(
    distribution: Annotated[
        str, typer.Argument(metavar="DIST", help="As pip calls it.",
                            autocompletion=completing.distributions)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check what an installed distribution adds against the laws of its kind (exit code 1)."""
    from dataclasses import asdict

    from a2sb_core.testing.checking import check_distribution

    verdicts = []
    for verdict in check_distribution(distribution):
        verdicts.append(verdict)
        if not as_json:
            typer.echo(f"{verdict.state:<7} {verdict.kind} `{verdict.name}`: {verdict.law}")
            if verdict.detail:
                typer.echo(f"        {verdict.detail}")
    failed = sum(not verdict.is_fine for verdict in verdicts)
    if as_json:
        print_json({"verdicts": [asdict(verdict) for verdict in verdicts]})
    else:
        typer.echo(f"{len(verdicts) - failed} of {len(verdicts)} checks passed")
    if failed:
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What configurations call it.")],
    kind: Annotated[
        str, typer.Option(help="Such as corruption or sampler.", autocompletion=completing.kinds)
    ] = "corruption",
    into: Annotated[Path, typer.Option(help="Where to make the plugin's folder.")] = Path(),
) -> None:
    """Write a new plugin: a distribution with a component and a test, both working."""
    from a2sb_core.plugins.skeleton import write_skeleton

    folder = write_skeleton(name, kind, into)
    typer.echo(f"wrote {folder}; install it with `pip install -e {folder}`, then run its tests")


def _print_table(registry: Registry, kind: str | None) -> None:
    """Print plain columns: importing rich to draw them takes longer than all the rest."""
    rows = [("kind", "name", "what it is", "from")]
    for entry in registry.entries(kind):
        origin = f"{entry.distribution} {entry.version}"
        rows.append((entry.kind, registry.shortest(entry), entry.summary, origin))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
    if registry.failures:
        typer.echo("\nNot loaded:")
        for failure in registry.failures:
            typer.echo(f"  {failure}")
