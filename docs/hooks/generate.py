"""Generates parts of pages from the code, in place of lines such as `<!-- kind: bridge -->`.

| line | becomes |
|---|---|
| `kind: bridge` | the components of the kind, its laws, and an example with its test |
| `components: bridge` | every registered component of the kind, with its settings |
| `fields: train` | the fields of a configuration and of those inside it |
| `commands: all` | every command with its options |
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.files import Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from a2sb_core.cli import app
from a2sb_core.config.chain import ChainConfig
from a2sb_core.config.description import (
    default_of,
    docstring,
    inner_models,
    model_of,
    one_line,
    values_of,
)
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.plugins import Entry, default_registry
from a2sb_core.plugins.skeleton import skeleton
from a2sb_core.testing import laws

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^<!-- (\w+): ([\w-]+) -->$", re.MULTILINE)
CONFIGURATIONS: dict[str, type[BaseModel]] = {
    "train": TrainConfig,
    "model": ModelConfig,
    "evaluate": EvaluateConfig,
    "chain": ChainConfig,
}


def on_files(files: Files, **_: Any) -> None:
    """Replace the placeholder lines of all pages."""
    for file in files.documentation_pages():
        text = file.content_string
        if LINE.search(text):
            file.content_string = LINE.sub(lambda match: MAKERS[match[1]](match[2]), text)


def kind_section(kind: str) -> str:
    """List the components and the laws of a kind, and show what `a2sb plugins new` writes."""
    name = f"my_{kind}"
    files = skeleton(name, kind)
    module, test = (files[path] for path in (f"a2sb_{name}/{name}.py", f"tests/test_{name}.py"))
    there = ", ".join(
        f"[`{e.name}`](reference/components.md#{kind}-{e.name})" for e in _entries(kind)
    )
    lines = [
        f"Built in: {there}.",
        _code("python", module),
        "Its test:",
        _code("python", test),
        f'??? note "The laws of a {kind}"\n',
    ]
    lines += [f"    - `{law.name}`: {_inline(law.statement)}" for law in laws(kind)]
    return "\n\n".join(lines[:5]) + "\n" + "\n".join(lines[5:]) + "\n"


def components(kind: str) -> str:
    """Describe every component of a kind with its settings."""
    registry, parts = default_registry(), []
    for entry in _entries(kind):
        component = registry.resolve(kind, entry.name)
        place = Path(inspect.getfile(component)).relative_to(ROOT).as_posix()
        parts += [
            f"### {entry.name} {{#{kind}-{entry.name}}}",
            f"{_sentence(entry.summary)} [`{component.__name__}`](../../{place})",
            docstring(component),
        ]
        for path, model in inner_models(component.Config):
            parts += [f"In `{'.'.join(path)}`:" if path else "", _fields(model)]
        damage = getattr(component, "Parameters", None)
        if isinstance(damage, type) and issubclass(damage, BaseModel) and damage.model_fields:
            parts += [f"Its `Parameters` (task `{component.task}`):", _fields(damage)]
    return "\n\n".join(part for part in parts if part)


def fields(name: str) -> str:
    """Describe a configuration and the configurations inside it."""
    parts = []
    for path, model in inner_models(CONFIGURATIONS[name]):
        heading = ".".join((name, *path))
        anchor = heading.replace(".", "-")
        parts += [f"### {heading} {{#{anchor}}}", docstring(model), _fields(model, anchor)]
    return "\n\n".join(parts)


def commands(_: str) -> str:
    """Describe every command with its arguments and options."""
    parts = []
    for name, command in _commands(get_command(app), "a2sb"):
        context = typer.Context(command, info_name=name)
        records = [parameter.get_help_record(context) for parameter in command.params]
        rows = [(f"`{names}`", _inline(text)) for names, text in filter(None, records)]
        parts += [
            f"## {name}",
            inspect.cleandoc(command.help or ""),
            _table(("argument or option", "meaning"), rows),
        ]
    return "\n\n".join(parts)


MAKERS = {"kind": kind_section, "components": components, "fields": fields, "commands": commands}


def _commands(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{above} {name}")
        else:
            yield f"{above} {name}", command


@functools.cache
def _entries(kind: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in default_registry().entries(kind) if entry.builtin)


def _fields(model: type[BaseModel], anchor: str = "") -> str:
    rows = [
        (f"`{name}`", _value(name, field, anchor), _inline(field.description or ""))
        for name, field in model.model_fields.items()
        if name != "name"
    ]
    return _table(("field", "value", "meaning"), rows) if rows else "No settings."


def _value(name: str, field: FieldInfo, anchor: str) -> str:
    text = values_of(field, lambda kind: f"[{kind}](components.md#{kind})")
    if anchor and model_of(field):
        text = f"[{text}](#{anchor}-{name})"
    default = default_of(field)
    if default is None:
        return f"{text}, required"
    return text if default.startswith('{"') else f"{text}, by default `{default}`"


def _inline(text: str) -> str:
    """Return a text as the cell of a table."""
    return one_line(text).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
