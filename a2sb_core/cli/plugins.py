"""``a2sb plugins``: what is registered, and what could not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli.output import console, print_json

if TYPE_CHECKING:
    from a2sb_core.plugins import Registry

app = typer.Typer(no_args_is_help=True, help="Components, and the plugins they come from.")


@app.callback()
def _plugins() -> None:
    """Components, and the plugins they come from."""


@app.command("list")
def list_plugins(
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as sampler.")] = None,
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
    _print_tables(registry, kind)


def _print_tables(registry: Registry, kind: str | None) -> None:
    from rich.table import Table

    table = Table("kind", "name", "what it is", "from", box=None, pad_edge=False)
    for entry in registry.entries(kind):
        origin = f"{entry.distribution} {entry.version}"
        table.add_row(entry.kind, registry.shortest(entry), entry.summary, origin)
    screen = console()
    screen.print(table, highlight=False, markup=False)
    if registry.failures:
        screen.print("\nNot loaded:", highlight=False)
        for failure in registry.failures:
            screen.print(f"  {failure}", highlight=False, markup=False, soft_wrap=True)
