"""Configurations from YAML, changed from the command line, checked, and written again."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, PydanticInvalidForJsonSchema, PydanticUserError, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import ErrorDetails

from a2sb_core.config.component import PLACE, ComponentConfig
from a2sb_core.config.tree import Dumper, Node, merge, parse, put, show
from a2sb_core.errors import ConfigError, PluginError
from a2sb_core.plugins import UnknownNameError, default_registry

Model = TypeVar("Model", bound=BaseModel)

EXTENDS = "extends"
"""The key under which a mapping names the file or preset that it builds on."""

ASIDE = "x-"
"""How keys of a file begin that only hold what its anchors name."""

_COMPLETE = ("component", "unknown_field", "missing", "value_error")
"""Types of the errors whose message alone says enough."""


def load_config(
    config_class: type[Model], source: str | Path, overrides: Iterable[str] = ()
) -> Model:
    """Read a configuration from a YAML file, or the preset of that name, and check it.

    Raises:
        ConfigError: as :func:`load_tree` and :func:`validate` raise.
    """
    return validate(config_class, load_tree(source, overrides), source)


def load_tree(source: str | Path, overrides: Iterable[str] = ()) -> Node:
    """Read a tree from a YAML file, or from the preset of that name, with what it extends.

    Any mapping may have a field ``extends``: a file (relative to the one that names it) or a
    preset, over which the mapping is laid as :func:`a2sb_core.config.tree.merge` says. Keys of a
    file that begin with ``x-`` are for its anchors, and are left out.

    Args:
        source: the file or preset.
        overrides: ``path.to.field=value``, set afterwards as :func:`apply_overrides` does.

    Raises:
        ConfigError: there is no such file or preset, it is not a YAML mapping, or it extends
            itself; a syntax error is told with file, line and column.
        PluginError: several plugins have a preset of that name, or it is broken.
    """
    tree = _read(_find(source), ())
    for override in overrides:
        tree = _override(tree, override)
    return tree


def load_yaml(source: str | Path) -> dict[str, Any]:
    """Read the plain values of :func:`load_tree`."""
    values: dict[str, Any] = load_tree(source).plain()
    return values


def apply_overrides(tree: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of a tree with ``path.to.field=value`` set in it, in order.

    Values are YAML. Mappings on the way are made where there are none, and of a bare name one
    with that ``name``; another ``name`` drops the other fields of a component.

    Raises:
        ConfigError: an override is malformed, or leads through something that is not a mapping.

    Example:
        >>> apply_overrides({"sampler": {"name": "ode"}}, ["sampler.steps=50", "seed=1"])
        {'sampler': {'name': 'ode', 'steps': 50}, 'seed': 1}
    """
    node = Node.of(copy.deepcopy(dict(tree)))
    for override in overrides:
        node = _override(node, override)
    values: dict[str, Any] = node.plain()
    return values


def _override(tree: Node, override: str) -> Node:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"override `{override}`: expected `path.to.field=value`")
    value = parse(text, f"override `{override}`", lines=False)
    try:
        return put(tree, keys, Node.of(value.plain(), "--set"))
    except ConfigError as error:
        raise ConfigError(f"override `{override}`: {error}") from error


def validate(config_class: type[Model], tree: Any, source: str | Path) -> Model:
    """Check a tree, plain or with origins, and make the configuration it describes.

    Raises:
        ConfigError: it describes none; one line for each problem tells the path to the field,
            where it was given (if the tree knows), what was expected and what was got.
    """
    origins = tree if isinstance(tree, Node) else Node(None)
    try:
        return config_class.model_validate(tree.plain() if isinstance(tree, Node) else tree)
    except ValidationError as error:
        problems = [_problem(details, origins) for details in error.errors(include_url=False)]
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise ConfigError("\n".join([f"{source}: {count}", *problems])) from error


class Traced(NamedTuple):
    """A value of a configuration: its path, itself as YAML, and where it came from."""

    path: str
    value: str
    origin: str


def trace(config: BaseModel, tree: Node) -> list[Traced]:
    """List all values of a configuration that :func:`validate` made of a tree, with origins."""
    return [
        Traced(".".join(path), _flow(value), tree.origin_of(path))
        for path, value in leaves(dump(config))
    ]


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Find what a plain tree holds besides mappings: lists of scalars, scalars, what is empty."""
    nested = value and isinstance(value, list) and any(isinstance(v, dict | list) for v in value)
    if not (nested or (value and isinstance(value, dict))):
        yield path, value
        return
    for key, inner in enumerate(value) if isinstance(value, list) else value.items():
        yield from leaves(inner, (*path, str(key)))


def _flow(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=Dumper, default_flow_style=True, allow_unicode=True, width=10**6
    )
    return text.removesuffix("...\n").strip()


def dump(config: BaseModel) -> dict[str, Any]:
    """Return a configuration as plain values, every component with its name."""
    return config.model_dump(mode="json")


def to_yaml(config: BaseModel) -> str:
    """Return a configuration as YAML that loads as the same configuration."""
    text: str = yaml.dump(dump(config), Dumper=Dumper, sort_keys=False, allow_unicode=True)
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
    _allow_extending(definitions)
    _allow_aside(definitions, refs[config_class, "validation"]["$ref"])
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **refs[config_class, "validation"], "$defs": definitions}


def _allow_extending(definitions: dict[str, Any]) -> None:
    """Let every mapping extend another; then it and all below it may leave fields out.

    ``NAME.part`` is the definition of a part of NAME.
    """
    for name, definition in list(definitions.items()):
        part = _partial(definition)
        definitions[f"{name}.part"] = part
        if "properties" not in definition:
            continue
        part["properties"][EXTENDS] = {
            "type": "string", "description": "A file, relative to this one, or a preset.",
        }
        definitions[name] = {
            "if": {"type": "object", "required": [EXTENDS]},
            "then": {"$ref": f"#/$defs/{name}.part"},
            "else": {**definition, "properties": {
                **definition["properties"], EXTENDS: part["properties"][EXTENDS],
            }},
        }


def _allow_aside(definitions: dict[str, Any], ref: str) -> None:
    """Let the whole of a file hold keys that only its anchors use."""
    name = ref.rpartition("/")[2]
    for whole in (definitions[name]["else"], definitions[f"{name}.part"]):
        whole["patternProperties"] = {f"^{ASIDE}": True}


def _partial(node: Any) -> Any:
    """Copy a definition without ``required``, referring to parts."""
    if isinstance(node, list):
        return [_partial(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    copied = {
        key: _partial(inner) for key, inner in node.items()
        if not (key == "required" and isinstance(inner, list))
    }
    reference = copied.get("$ref")
    if isinstance(reference, str):
        copied["$ref"] = f"{reference}.part"
    return copied


def _configs(kind: str) -> Iterator[tuple[str, type[BaseModel]]]:
    registry = default_registry()
    for name in registry.names(kind):
        with contextlib.suppress(PluginError, PydanticInvalidForJsonSchema, PydanticUserError):
            config = registry.resolve(kind, name).Config
            config.model_json_schema()
            yield name, config


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
    field = definition["properties"]["name"]
    field["description"] = ComponentConfig.model_fields["name"].description
    names = field.setdefault("enum", [])
    names.append(name)
    definition["title"] = " or ".join(names)
    definition["required"] = sorted({"name", *definition.get("required", [])})


class _Source(NamedTuple):
    """A file to read (or a resource, hence no type), and what messages call it."""

    file: Any
    label: str


def _find(source: str | Path) -> _Source:
    """Find a file, or the preset of that name."""
    if isinstance(source, Path) or Path(source).is_file():
        return _Source(Path(source), str(source))
    return _preset(source)


def _preset(name: str) -> _Source:
    try:
        return _Source(default_registry().resolve("preset", name), f"preset {name}")
    except UnknownNameError as error:
        raise ConfigError(f"`{name}` is neither a file nor a preset: {error}") from error


def _read(source: _Source, around: tuple[str, ...]) -> Node:
    """Read a source that those ``around`` it extend."""
    chain = (*around, source.label)
    if source.label in around:
        raise ConfigError(f"`{EXTENDS}` goes in a circle: {' -> '.join(chain)}")
    try:
        text = source.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source.label}: can not be read: {error}") from error
    tree = parse(text, source.label)
    if tree.value is None:
        return Node({}, tree.origin)
    if not isinstance(tree.value, dict):
        raise ConfigError(f"{source.label}: expected a mapping of fields; got {show(tree.plain())}")
    fields = {k: v for k, v in tree.value.items() if not str(k).startswith(ASIDE)}
    return _extended(Node(fields, tree.origin), source, chain)


def _extended(node: Node, source: _Source, chain: tuple[str, ...]) -> Node:
    """Lay every mapping below over what it extends."""
    if node.is_list:
        return Node([_extended(inner, source, chain) for inner in node.value], node.origin)
    if not isinstance(node.value, dict):
        return node
    own = Node({
        key: _extended(inner, source, chain)
        for key, inner in node.value.items() if key != EXTENDS
    }, node.origin)
    named = node.value.get(EXTENDS)
    return own if named is None else merge(_base(named, source, chain), own)


def _base(named: Node, source: _Source, chain: tuple[str, ...]) -> Node:
    """Read what a mapping extends."""
    if not isinstance(named.value, str):
        raise ConfigError(
            f"{named.origin}: {EXTENDS}: expected a file or a preset; got {show(named.plain())}"
        )
    file = source.file.parent / named.value
    if file.is_file():
        return _read(_Source(file, normpath(str(file))), chain)
    try:
        preset = _preset(named.value)
    except ConfigError as error:
        raise ConfigError(f"{named.origin}: {EXTENDS}: {error}") from error
    return _read(preset, chain)


def _problem(details: ErrorDetails, origins: Node) -> str:
    """Return one line: path to the field, its origin, what was expected, what was got."""
    path = ".".join(map(str, details["loc"])) or "the whole"
    near, rest = origins.nearest(details["loc"])
    place = f" ({near.origin})" if near.origin and len(rest) < len(details["loc"]) else ""
    message = details["msg"].removeprefix("Value error, ").replace("\n", "\n  ")
    if details["type"] not in _COMPLETE:
        message = f"{message.replace('Input should be', 'expected')}; got {show(details['input'])}"
    return f"- {path}{place}: {message}"
