"""Descriptions of configurations and components for people: fields, types, limits, defaults."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python

from a2sb_core.interfaces import Corruption
from a2sb_core.plugins import KINDS, DamageOption, Entry, default_registry
from a2sb_core.plugins.component_config import ComponentField

WORDS = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    dict: "mapping",
    Any: "anything",
    types.NoneType: "null",
}
LIMITS = {
    "gt": ">",
    "ge": "≥",
    "lt": "<",
    "le": "≤",
    "multiple_of": "a multiple of",
    "min_length": "length ≥",
    "max_length": "length ≤",
}
ROLE = re.compile(r":(?:class|func|meth|attr|data|mod):`~?([^`]+)`")
SECTION = re.compile(r"^(Args|Attributes|Example|Raises|Returns):", re.MULTILINE)

Link = Callable[[str], str]
"""Function that writes the name of a kind of components, which may be a link."""


@dataclass(frozen=True)
class FieldDescription:
    """A field of a configuration.

    Attributes:
        name: name of the field, after those of the fields around it, separated by dots.
        values: the accepted values in words, with their limits.
        default: the default as JSON; None if the field is required.
        meaning: the description of the field.
    """

    name: str
    values: str
    default: str | None
    meaning: str


@dataclass(frozen=True)
class ComponentDescription:
    """A component or resource that a plugin adds.

    Attributes:
        entry: its entry in the registry.
        text: the docstring of its class without sections such as ``Args``.
        task: the task of a corruption or protocol; empty if there is none, or several.
        fields: fields of its ``Config``; a resource has none.
        parameters: fields of its ``Parameters``, which describe one damage.
        options: options of the command line that set parameters.
    """

    entry: Entry
    text: str = ""
    task: str = ""
    fields: tuple[FieldDescription, ...] = ()
    parameters: tuple[FieldDescription, ...] = ()
    options: tuple[DamageOption, ...] = ()


def describe_component(entry: Entry) -> ComponentDescription:
    """Describe a component, which is imported.

    Raises:
        PluginError: its target is broken.
    """
    registry = default_registry()
    found = registry.resolve(entry.kind, entry.qualified)
    if entry.kind not in KINDS:
        return ComponentDescription(entry)
    fields = tuple(describe_fields(found.Config))
    task, text = getattr(found, "task", ""), docstring(found)
    parameters: Any = getattr(found, "Parameters", None)
    is_class = isinstance(parameters, type)  # or a property, which needs an instance
    if not issubclass(found, Corruption):
        return ComponentDescription(entry, text, task, fields)
    return ComponentDescription(
        entry,
        text,
        task if found.tasks is Corruption.tasks else "",
        fields,
        tuple(describe_fields(parameters)) if is_class else (),
        tuple(option for option in registry.options if option.task == task),
    )


def describe_fields(model: type[BaseModel]) -> Iterator[FieldDescription]:
    """Describe the fields of a configuration and of those inside it, except for ``name``."""
    for path, inner in inner_models(model):
        for name, field in inner.model_fields.items():
            if name != "name":
                whole, text = ".".join((*path, name)), one_line(field.description or "")
                yield FieldDescription(whole, values_of(field), default_of(field), text)


def inner_models(
    model: type[BaseModel], path: tuple[str, ...] = (), around: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield a configuration and those inside its fields, except for components, with paths."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = model_of(field)
        if inner is not None and inner not in (*around, model):
            yield from inner_models(inner, (*path, name), (*around, model))


def model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the configuration inside a field, or None; components do not count."""
    return None if _kind(field.metadata) else _model_in(field.annotation)


def values_of(field: FieldInfo, link: Link = str) -> str:
    """Describe in words the values that a field accepts."""
    return ", ".join([_type(field.annotation, field.metadata, link), *_limits(field.metadata)])


def default_of(field: FieldInfo) -> str | None:
    """Return the default of a field as JSON, or None if it is required."""
    if field.is_required():
        return None
    default = field.get_default(call_default_factory=True)
    try:
        return json.dumps(to_jsonable_python(default), ensure_ascii=False)
    except (PydanticSerializationError, ValueError):
        return str(default)


def docstring(thing: Any) -> str:
    """Return a docstring without its sections, and with names in backticks for references."""
    text = SECTION.split(inspect.cleandoc(thing.__doc__ or ""))[0].strip()
    return ROLE.sub(r"`\1`", text)


def one_line(text: str) -> str:
    """Return a text in one line, with names in backticks for references."""
    return ROLE.sub(r"`\1`", " ".join(text.split()))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(inner) for inner in typing.get_args(annotation)]
    return next((one for one in found if one is not None and "name" not in one.model_fields), None)


def _type(annotation: Any, metadata: Any, link: Link) -> str:
    if kind := _kind(metadata):
        return link(kind)
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = ", ".join(_limits(inner[1:]))
        return _type(inner[0], inner[1:], link) + (f" ({limits})" if limits else "")
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(one, (), link) for one in inner)
    if origin is tuple and inner[-1] is ...:
        return f"list of {_type(inner[0], (), link)}"
    if origin is tuple:
        return "[" + ", ".join(_type(one, (), link) for one in inner) + "]"
    if origin is dict:
        return f"mapping of {_type(inner[0], (), link)} to {_type(inner[1], (), link)}"
    return WORDS.get(annotation, "mapping")


def _kind(metadata: Any) -> str:
    return next((one.kind for one in metadata if isinstance(one, ComponentField)), "")


def _limits(metadata: Any) -> Iterator[str]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from _limits(one.metadata)
        for name, words in LIMITS.items():
            value = getattr(one, name, None)
            if isinstance(value, int | float):
                yield f"{words} {value:g}"
