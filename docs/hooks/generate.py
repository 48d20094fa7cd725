"""What pages tell of the code is made from the code: a line `<!-- what: name -->` is replaced.

| line | becomes |
|---|---|
| `kind: bridge` | what there is of the kind, its laws, and a complete component with its test |
| `components: bridge` | every registered component of the kind, with its settings |
| `fields: train` | the fields of a configuration and of those inside it |
| `commands: all` | every command with its options |
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.files import Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from typer.main import get_command

from a2sb_core.cli import app
from a2sb_core.config.component import ComponentField
from a2sb_core.config.evaluate import EvaluateConfig
from a2sb_core.config.run import ModelConfig, TrainConfig
from a2sb_core.plugins import Entry, default_registry
from a2sb_core.plugins.skeleton import skeleton
from a2sb_core.testing import laws

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^<!-- (\w+): ([\w-]+) -->$", re.MULTILINE)
CONFIGURATIONS: dict[str, type[BaseModel]] = {
    "train": TrainConfig, "model": ModelConfig, "evaluate": EvaluateConfig,
}
WORDS = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path",
         dict: "mapping", Any: "anything", types.NoneType: "null"}
LIMITS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "multiple_of": "a multiple of",
          "min_length": "at least"}
ROLE = re.compile(r":(?:class|func|meth|attr|data|mod):`~?([^`]+)`")
SECTION = re.compile(r"^(Args|Attributes|Example|Raises|Returns):", re.MULTILINE)


def on_files(files: Files, **_: Any) -> None:
    """Replace the lines of pages that ask for something generated."""
    for file in files.documentation_pages():
        text = file.content_string
        if LINE.search(text):
            file.content_string = LINE.sub(lambda match: MAKERS[match[1]](match[2]), text)


def kind_section(kind: str) -> str:
    """Tell what there is of a kind, its laws, and show what `a2sb plugins new` writes."""
    name = f"my_{kind}"
    files = skeleton(name, kind)
    module, test = (files[path] for path in (f"a2sb_{name}/{name}.py", f"tests/test_{name}.py"))
    there = ", ".join(f"[`{e.name}`](reference/components.md#{kind}-{e.name})"
                      for e in _entries(kind))
    lines = [f"There are: {there}.", _code("python", module), "Its test:", _code("python", test),
             f"??? note \"The laws of a {kind}\"\n"]
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
            _docstring(component),
        ]
        for path, model in _inside(component.Config):
            parts += [f"In `{'.'.join(path)}`:" if path else "", _fields(model)]
        damage = getattr(component, "Parameters", None)
        if isinstance(damage, type) and issubclass(damage, BaseModel) and damage.model_fields:
            parts += [f"Its `Parameters` (task `{component.task}`):", _fields(damage)]
    return "\n\n".join(part for part in parts if part)


def fields(name: str) -> str:
    """Describe a configuration, and all that are inside it."""
    parts = []
    for path, model in _inside(CONFIGURATIONS[name]):
        heading = ".".join((name, *path))
        anchor = heading.replace(".", "-")
        parts += [f"### {heading} {{#{anchor}}}", _docstring(model), _fields(model, anchor)]
    return "\n\n".join(parts)


def commands(_: str) -> str:
    """Describe every command with its arguments and options."""
    parts = []
    for name, command in _commands(get_command(app), "a2sb"):
        context = typer.Context(command, info_name=name)
        records = [parameter.get_help_record(context) for parameter in command.params]
        rows = [(f"`{names}`", _inline(told)) for names, told in filter(None, records)]
        parts += [f"## {name}", inspect.cleandoc(command.help or ""),
                  _table(("argument or option", "what it does"), rows)]
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


def _inside(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Find the configurations that the fields of one hold, which no component is."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None and not _kind(field.metadata):
            yield from _inside(inner, (*path, name))


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_of(inner) for inner in typing.get_args(annotation)]
    return next((one for one in found if one is not None and "name" not in one.model_fields), None)


def _fields(model: type[BaseModel], anchor: str = "") -> str:
    rows = [
        (f"`{name}`", _value(name, field, anchor), _inline(field.description or ""))
        for name, field in model.model_fields.items() if name != "name"
    ]
    return _table(("field", "value", "what it is"), rows) if rows else "No settings."


def _value(name: str, field: FieldInfo, anchor: str) -> str:
    text = _type(field.annotation, field.metadata)
    if anchor and _model_of(field.annotation) and not _kind(field.metadata):
        text = f"[{text}](#{anchor}-{name})"
    text += "".join(f", {limit}" for limit in _limits(field.metadata))
    if field.is_required():
        return f"{text}, required"
    default = to_jsonable_python(field.get_default(call_default_factory=True))
    if isinstance(default, dict) and default:
        return text
    return f"{text}, by default `{json.dumps(default, ensure_ascii=False)}`"


def _type(annotation: Any, metadata: Any = ()) -> str:
    """Say in words what a field takes."""
    if kind := _kind(metadata):
        return f"[{kind}](components.md#{kind})"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0], annotation.__metadata__)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(one) for one in inner)
    if origin is tuple and inner[-1] is ...:
        return f"list of {_type(inner[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type(one) for one in inner) + "]"
    if origin is dict:
        return f"mapping of {_type(inner[0])} to {_type(inner[1])}"
    return WORDS.get(annotation, "mapping")


def _kind(metadata: Any) -> str:
    return next((one.kind for one in metadata if isinstance(one, ComponentField)), "")


def _limits(metadata: Any) -> Iterator[str]:
    for one in metadata:
        for name, words in LIMITS.items():
            value = getattr(one, name, None)
            if value is not None and not isinstance(one, ComponentField):
                yield f"{words} {value:g}"


def _docstring(thing: Any) -> str:
    text = inspect.cleandoc(thing.__doc__ or "")
    return _roles(SECTION.split(text)[0].strip())


def _inline(text: str) -> str:
    """Return a text for a cell of a table."""
    return _roles(" ".join(text.split())).replace("|", "\\|")


def _roles(text: str) -> str:
    return ROLE.sub(r"`\1`", text)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
