"""``a2sb plugins``: list, show, check and create plugins."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.exit_codes import ERROR
from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import print_columns, print_json
from a2sb_core.common.text import printable, printable_text

if TYPE_CHECKING:
    from a2sb_core.config.description import ComponentDescription, FieldDescription
    from a2sb_core.plugins import Registry

INDENT = " " * 6
WIDTH = 100
"""Columns of the descriptions of fields."""

app = typer.Typer(no_args_is_help=True, help="Components, and the plugins they come from.")


@app.callback()
def _plugins() -> None:
    """Components, and the plugins they come from."""


@app.command("list")
def list_plugins(
    kind: Annotated[
        str | None,
        typer.Option(help="Only this kind, such as sampler.", autocompletion=completion.every_kind),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List components by kind, and plugins that failed to load."""
    from a2sb_core.plugins import default_registry

    registry = default_registry()
    if as_json:
        fields = ("kind", "name", "summary", "target", "plugin", "distribution", "version")
        print_json(
            {
                "components": [
                    {field: getattr(entry, field) for field in fields}
                    for entry in registry.entries(kind)
                ],
                "failures": [
                    {
                        field: getattr(failure, field)
                        for field in ("plugin", "distribution", "version", "reason")
                    }
                    for failure in registry.failures
                ],
            }
        )
        return
    _print_table(registry, kind)


@app.command()
def show(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] NAME",
            help="Name of a component, after its kind if several kinds have the name.",
            autocompletion=completion.component_names,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show a component: its origin, its settings and the parameters of its damage.

    Without KIND, components of all kinds that have the name are shown.
    """
    from a2sb_core.config.description import describe_component
    from a2sb_core.plugins import default_registry

    if len(names) > 2:
        raise typer.BadParameter("write a NAME, or a KIND and a NAME", param_hint="[KIND] NAME")
    registry = default_registry()
    entries = registry.find(names[0]) if len(names) == 1 else [registry.entry(names[0], names[1])]
    found = [describe_component(entry) for entry in entries]
    if as_json:
        from dataclasses import asdict

        described = [asdict(one) for one in found]
        print_json({"components": [{**one.pop("entry"), **one} for one in described]})
        return
    for number, one in enumerate(found):
        typer.echo("\n" * bool(number) + "\n".join(map(printable, _lines(one))))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Import everything that plugins add, and report problems with advice (exit code 1)."""
    from dataclasses import asdict

    from a2sb_core.plugins import default_registry
    from a2sb_core.plugins.diagnosis import examine

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
            text = f"  problem: {finding.what}\n  advice:  {finding.advice}\n"
            typer.echo(printable_text(text))
        distributions = {entry.distribution for entry in registry.entries() if not entry.builtin}
        typer.echo(
            f"{len(distributions)} installed distributions add components; "
            f"{broken} problems, {len(findings) - broken} notes"
        )
    if broken:
        raise typer.Exit(ERROR)


@app.command()
def check(
    distribution: Annotated[
        str,
        typer.Argument(
            metavar="DIST",
            help="Name of the distribution, as in pip.",
            autocompletion=completion.distributions,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Check the components of a distribution against the laws of their kinds (exit code 1)."""
    from dataclasses import asdict

    from a2sb_core.testing.checking import check_distribution

    verdicts = []
    for verdict in check_distribution(distribution):
        verdicts.append(verdict)
        if not as_json:
            typer.echo(f"{verdict.state:<7} {verdict.kind} `{verdict.name}`: {verdict.law}")
            for line in filter(None, (verdict.sentence, verdict.detail)):
                typer.echo(f"        {line}")
    failed = sum(not verdict.is_fine for verdict in verdicts)
    if as_json:
        print_json({"verdicts": [asdict(verdict) for verdict in verdicts]})
    else:
        typer.echo(f"{len(verdicts) - failed} of {len(verdicts)} checks passed")
    if failed:
        raise typer.Exit(ERROR)


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the component in configurations.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="Kind of the component, such as sampler.", autocompletion=completion.kinds
        ),
    ] = "corruption",
    into: Annotated[Path, typer.Option(help="Folder in which the plugin is created.")] = Path(),
) -> None:
    """Create a new plugin: a distribution with a working component and its test."""
    from a2sb_core.plugins.skeleton import write_skeleton

    folder = write_skeleton(name, kind, into)
    typer.echo(f"wrote {folder}; install it with `pip install -e {folder}`, then run its tests")


def _lines(found: ComponentDescription) -> Iterator[str]:
    """Yield the lines that describe a component."""
    from a2sb_core.plugins import RESOURCE_KINDS

    entry = found.entry
    yield f"{entry.kind} {entry.name}: {entry.summary}"
    yield from (f"  {line}".rstrip() for line in found.text.splitlines())
    yield f"  plugin: {entry.plugin} of {entry.distribution} {entry.version}"
    yield f"  target: {entry.target}"
    if found.task:
        yield f"  task: {found.task}"
    if entry.kind in RESOURCE_KINDS:
        yield f"  contents: a2sb config show {entry.name}"
    else:
        yield from _field_lines("settings (fields of Config)", found.fields)
    if entry.kind == "corruption":
        title = "parameters of the damage (fields of Parameters; --parameter NAME=VALUE)"
        yield from _field_lines(title, found.parameters)
    for option in found.options:
        yield f"  option {option.flag} {option.metavar}, sets {option.parameter}"
        yield f"      {option.help}"


def _field_lines(title: str, fields: Sequence[FieldDescription]) -> Iterator[str]:
    yield f"  {title}:{'' if fields else ' none'}"
    for field in fields:
        default = "required" if field.default is None else f"default {field.default}"
        yield f"    {field.name}: {field.values}; {default}"
        yield from textwrap.wrap(
            field.meaning, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT
        )


def _print_table(registry: Registry, kind: str | None) -> None:
    rows = [("kind", "name", "description", "distribution")]
    for entry in registry.entries(kind):
        origin = f"{entry.distribution} {entry.version}"
        rows.append((entry.kind, registry.shortest(entry), entry.summary, origin))
    print_columns(rows)
    if registry.failures:
        typer.echo("\nNot loaded:")
        for failure in registry.failures:
            typer.echo(f"  {failure}")
