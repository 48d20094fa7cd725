"""Configurations from YAML, changed from the command line, checked, and written again."""

from __future__ import annotations

import contextlib
import copy
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import ErrorDetails

from a2sb_core.config.component import PLACE
from a2sb_core.errors import ConfigError, PluginError
from a2sb_core.plugins import UnknownNameError, default_registry

Model = TypeVar("Model", bound=BaseModel)

_COMPLETE = ("component", "unknown_field", "missing", "value_error")
"""Types of the errors whose message alone says enough."""


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key `{key.value}` is given twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`_Loader` reads."""


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # In other styles PyYAML leaves some line breaks as they are, and reads them as spaces.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)

# YAML 1.1 as PyYAML has it takes 1e-4 for a text.
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def load_yaml(source: str | Path) -> dict[str, Any]:
    """Read a configuration tree from a YAML file, or from the preset of that name.

    Raises:
        ConfigError: there is no such file or preset, or it is not a YAML mapping; a syntax error
            is told with file, line and column.
        PluginError: several plugins have a preset of that name, or it is broken.
    """
    try:
        text = _find(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: can not be read: {error}") from error
    tree = _parse(text, str(source))
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{source}: expected a mapping of fields; got {_show(tree)}")
    return tree or {}


def apply_overrides(tree: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of a tree with ``path.to.field=value`` set in it, in order.

    Values are YAML. Mappings on the way are made where there are none.

    Raises:
        ConfigError: an override is malformed, or leads through something that is not a mapping.

    Example:
        >>> apply_overrides({"sampler": {"name": "ode"}}, ["sampler.steps=50", "seed=1"])
        {'sampler': {'name': 'ode', 'steps': 50}, 'seed': 1}
    """
    changed = copy.deepcopy(dict(tree))
    for override in overrides:
        path, equals, text = override.partition("=")
        *parents, field = keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"override `{override}`: expected `path.to.field=value`")
        node: Any = changed
        for depth, key in enumerate(parents, 1):
            if node.get(key) is None:
                node[key] = {}
            node = node[key]
            if not isinstance(node, dict):
                through = ".".join(keys[:depth])
                raise ConfigError(
                    f"override `{override}`: `{through}` is {_show(node)}, not a mapping; "
                    f"set the whole of it: `{through}={{...}}`"
                )
        node[field] = _parse(text, f"override `{override}`")
    return changed


def validate(config_class: type[Model], tree: Any, source: str | Path) -> Model:
    """Check a tree and make the configuration it describes.

    Raises:
        ConfigError: it describes none; one line for each problem tells the path to the field,
            what was expected and what was got.
    """
    try:
        return config_class.model_validate(tree)
    except ValidationError as error:
        problems = [_problem(details) for details in error.errors(include_url=False)]
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise ConfigError("\n".join([f"{source}: {count}", *problems])) from error


def dump(config: BaseModel) -> dict[str, Any]:
    """Return a configuration as plain values, every component with its name."""
    return config.model_dump(mode="json")


def to_yaml(config: BaseModel) -> str:
    """Return a configuration as YAML that loads as the same configuration."""
    text: str = yaml.dump(dump(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def json_schema(config_class: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a configuration, for editors.

    Where it holds a component, the schema offers each one of the kind, by its bare name or with
    its own fields. All of them get imported; those that are broken are left out.
    """
    components: dict[str, dict[str, type[BaseModel]]] = {}
    models = {config_class}
    while missing := {kind for m in models for kind in _kinds(m)} - components.keys():
        for kind in sorted(missing):
            components[kind] = dict(_configs(kind))
            models |= set(components[kind].values())
    in_order = sorted(models, key=lambda model: f"{model.__module__}.{model.__qualname__}")
    refs, schema = models_json_schema([(model, "validation") for model in in_order])
    definitions = schema.setdefault("$defs", {})
    for kind, named in components.items():
        choices: list[dict[str, Any]] = [{"enum": list(named)}]
        for name, config in named.items():
            choices.append(refs[config, "validation"])
            _call(name, definitions[choices[-1]["$ref"].rpartition("/")[2]])
        definitions[kind] = {"anyOf": choices}
    for place in _places(definitions):
        place["$ref"] = f"#/$defs/{place.pop(PLACE)}"
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **refs[config_class, "validation"], "$defs": definitions}


def _configs(kind: str) -> Iterator[tuple[str, type[BaseModel]]]:
    registry = default_registry()
    for name in registry.names(kind):
        with contextlib.suppress(PluginError):
            yield name, registry.resolve(kind, name).Config


def _kinds(model: type[BaseModel]) -> set[str]:
    return {place[PLACE] for place in _places(model.model_json_schema())}


def _places(node: Any) -> Iterator[dict[str, Any]]:
    """Find what ComponentField leaves in a schema, at any depth."""
    if isinstance(node, dict) and isinstance(node.get(PLACE), str):
        yield node
    elif isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _places(inner)


def _call(name: str, definition: dict[str, Any]) -> None:
    """Let a component's definition hold only with its ``name`` given."""
    names = definition["properties"]["name"].setdefault("enum", [])
    names.append(name)
    definition["title"] = " or ".join(names)
    definition["required"] = sorted({"name", *definition.get("required", [])})


def _find(source: str | Path) -> Any:
    """Return the path of a file, or of the preset of that name."""
    if isinstance(source, Path) or Path(source).is_file():
        return Path(source)
    try:
        return default_registry().resolve("preset", source)
    except UnknownNameError as error:
        raise ConfigError(f"`{source}` is neither a file nor a preset: {error}") from error


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: {getattr(error, 'problem', None) or error}") from error


def _problem(details: ErrorDetails) -> str:
    """Return one line: the path to the field, what was expected, what was got."""
    path = ".".join(map(str, details["loc"])) or "the whole"
    message = details["msg"].removeprefix("Value error, ").replace("\n", "\n  ")
    if details["type"] not in _COMPLETE:
        message = f"{message.replace('Input should be', 'expected')}; got {_show(details['input'])}"
    return f"- {path}: {message}"


def _show(value: Any) -> str:
    return reprlib.repr(value)
