"""A group of commands that imports the module of a command only when the command is invoked."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class LazyGroup(TyperGroup):
    """Lists commands by their summaries without importing them.

    ``summaries`` maps the name of each command to its line in the help text. The command itself
    is the attribute ``NAME`` of the module ``NAME`` in this package: a function, or a typer
    application ``app`` with commands of its own.
    """

    summaries: ClassVar[dict[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(self.summaries)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.summaries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in with the summary of a command, for help and completion."""
        summary = self.summaries.get(cmd_name)
        return None if summary is None else TyperCommand(cmd_name, help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command itself and the remaining words."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.commands[name], rest


class _Commands(Mapping[str, Any]):
    """The commands by name; looking one up imports its module."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def _load(name: str) -> Any:
    module = importlib.import_module(f"a2sb_core.cli.{name}")
    inner = getattr(module, "app", None)
    if isinstance(inner, typer.Typer):
        group = get_group(inner)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(module, name))
    return get_command(single)
