"""Configurations: read from YAML, overridden on the command line, validated and written."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from a2sb_core.common.files import read_limited
from a2sb_core.common.limits import MAX_TEXT_BYTES
from a2sb_core.config.defaults import MODEL_CONFIG
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.config.tree import Dumper, Node, merge, parse, put, show
from a2sb_core.errors import ConfigError
from a2sb_core.plugins import UnknownNameError, default_registry
from a2sb_core.plugins.component_config import explain

Model = TypeVar("Model", bound=BaseModel)

EXTENDS = "extends"
"""Key under which a mapping names the source that it extends."""

ASIDE = "x-"
"""Prefix of the keys of a file that only hold YAML anchors."""


def load_config(
    config_class: type[Model], source: str | Path, overrides: Iterable[str] = ()
) -> Model:
    """Read a configuration from any source of :func:`load_tree`, and validate it.

    Raises:
        ConfigError: see :func:`load_tree` and :func:`validate`.
    """
    return validate(config_class, load_tree(source, overrides), source)


def load_tree(source: str | Path, overrides: Iterable[str] = ()) -> Node:
    """Read a tree from a YAML file, preset or model, and resolve ``extends``.

    Any mapping may have a field ``extends`` that names another source: a YAML file or model folder
    (relative to the file of the mapping), or a registered preset or model. The mapping is merged
    over it, see :func:`a2sb_core.config.tree.merge`. Keys that begin with ``x-`` only hold YAML
    anchors and are left out.

    Args:
        source: path of a YAML file or a model folder, or name of a preset or model.
        overrides: ``path.to.field=value``, applied afterwards, see :func:`apply_overrides`.

    Raises:
        ConfigError: the source does not exist, is not a YAML mapping, or extends itself. The
            message of a syntax error states the file, line and column.
        PluginError: several plugins add a preset of that name, or the preset is broken.
    """
    tree = _read(_find(source), ())
    for override in overrides:
        tree = _override(tree, override)
    return tree


def load_yaml(source: str | Path) -> dict[str, Any]:
    """Read a tree by :func:`load_tree`, and return its plain values."""
    values: dict[str, Any] = load_tree(source).plain()
    return values


def apply_overrides(tree: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of a tree with each ``path.to.field=value`` applied, in order.

    Values are YAML. Missing mappings on a path are created, and a bare name on a path becomes a
    mapping with that ``name``. Another ``name`` drops the other fields of a component.

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
    """Validate a tree, plain or with origins, and return its configuration.

    Raises:
        ConfigError: the tree is invalid. The message has a line for each problem, with the path
            of the field, its origin (if known), and the expected and the given value.
    """
    origins = tree if isinstance(tree, Node) else Node(None)
    try:
        return config_class.model_validate(tree.plain() if isinstance(tree, Node) else tree)
    except ValidationError as error:

        def place_of(details: ErrorDetails) -> str:
            near, rest = origins.nearest(details["loc"])
            return f" ({near.origin})" if near.origin and len(rest) < len(details["loc"]) else ""

        if hint := _other_type(config_class, origins.plain() or {}):
            raise ConfigError(f"{source} {hint}") from error
        raise ConfigError(explain(error, str(source), place_of)) from error


def _other_type(config_class: type[BaseModel], values: Any) -> str:
    """Return what a tree describes and what to do, if it is not of the expected type."""
    fields = ModelConfig.model_fields.items()
    parts = [name for name, field in fields if field.is_required() and name in values]
    if config_class is ModelConfig and "model" in values and not parts:
        return (
            "describes a training run, but the configuration of a model is expected: "
            "load it as a TrainConfig, whose field `model` is its model"
        )
    if config_class is TrainConfig and "model" not in values and len(parts) > 1:
        return (
            "describes a model, but the configuration of a training run is expected: write one "
            f"with the fields `data`, `output`, `steps` and `model: {{{EXTENDS}: SOURCE}}`"
        )
    return ""


class Traced(NamedTuple):
    """A value of a configuration: its path, the value as YAML, and its origin."""

    path: str
    value: str
    origin: str


def trace(config: BaseModel, tree: Node) -> list[Traced]:
    """List all values of a configuration, with their origins in the tree that it comes from."""
    return [
        Traced(".".join(path), _flow(value), tree.origin_of(path))
        for path, value in leaves(dump(config))
    ]


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and value of the leaves of a tree: scalars, lists of scalars, empty values."""
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
    """Return a configuration as plain values, including the names of components."""
    return config.model_dump(mode="json")


def to_yaml(config: BaseModel) -> str:
    """Return a configuration as YAML that loads as the same configuration."""
    text: str = yaml.dump(dump(config), Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Source(NamedTuple):
    """A file to read (or a resource, hence no type), and its label in messages."""

    file: Any
    label: str


def _find(source: str | Path, above: Any = None) -> _Source:
    """Return the file, preset, model or model folder that a text denotes, in this order.

    A path is relative to the folder ``above``, by default the working folder.
    """
    path = Path(source) if above is None else above / str(source)
    if path.is_file() or (isinstance(source, Path) and not path.is_dir()):
        return _Source(path, normpath(str(path)))
    if not isinstance(source, Path):
        try:
            return _named(source)
        except ConfigError:
            if not path.is_dir():
                raise
    if (path / MODEL_CONFIG).is_file():
        return _Source(path / MODEL_CONFIG, normpath(str(path / MODEL_CONFIG)))
    inside = path / "model"
    hint = f"; its folder {inside} is one" if (inside / MODEL_CONFIG).is_file() else ""
    raise ConfigError(f"{path} is not a model folder: it has no {MODEL_CONFIG}{hint}")


def _named(name: str) -> _Source:
    """Return the preset or the model of a name."""
    registry = default_registry()
    try:
        return _Source(registry.resolve("preset", name), f"preset {name}")
    except UnknownNameError as error:
        try:
            file = registry.resolve("model", name) / MODEL_CONFIG
        except UnknownNameError:
            message = f"`{name}` is neither a file, a model folder, a preset nor a model"
            raise ConfigError(f"{message}: {error}") from error
    if not file.is_file():
        raise ConfigError(
            f"the model `{name}` is not part of the installation: `a2sb download {name}` downloads "
            "it; then use its folder"
        )
    return _Source(file, f"model {name}")


def _read(source: _Source, around: tuple[str, ...]) -> Node:
    """Read a source that the sources ``around`` it extend."""
    chain = (*around, source.label)
    if source.label in around:
        raise ConfigError(f"`{EXTENDS}` forms a circle: {' -> '.join(chain)}")
    try:
        text = read_limited(source.file, MAX_TEXT_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source.label} cannot be read: {error}") from error
    tree = parse(text, source.label)
    if tree.value is None:
        return Node({}, tree.origin)
    if not isinstance(tree.value, dict):
        raise ConfigError(f"{source.label}: expected a mapping of fields; got {show(tree.plain())}")
    if {"format_version", "model"} <= tree.value.keys():
        return _model_of(tree, source)  # may be a stranger's: nothing in it refers to other files
    fields = {k: v for k, v in tree.value.items() if not str(k).startswith(ASIDE)}
    return _extended(Node(fields, tree.origin), source, chain)


def _model_of(tree: Node, source: _Source) -> Node:
    """Return the model in the ``config.json`` of a model folder."""
    model = tree.value["model"]
    if not isinstance(model.value, dict):
        raise ConfigError(f"{source.label}: model: expected a mapping; got {show(model.plain())}")
    return Node(model.value, tree.origin)


def _extended(node: Node, source: _Source, chain: tuple[str, ...]) -> Node:
    """Merge every mapping of a node over the source that it extends."""
    if node.is_list:
        return Node([_extended(inner, source, chain) for inner in node.value], node.origin)
    if not isinstance(node.value, dict):
        return node
    own = Node(
        {
            key: _extended(inner, source, chain)
            for key, inner in node.value.items()
            if key != EXTENDS
        },
        node.origin,
    )
    named = node.value.get(EXTENDS)
    return own if named is None else merge(_base(named, source, chain), own)


def _base(named: Node, source: _Source, chain: tuple[str, ...]) -> Node:
    """Read the source that a mapping extends."""
    if not isinstance(named.value, str):
        raise ConfigError(
            f"{named.origin}: {EXTENDS}: expected a path or a name; got {show(named.plain())}"
        )
    try:
        base = _find(named.value, source.file.parent)
    except ConfigError as error:
        raise ConfigError(f"{named.origin}: {EXTENDS}: {error}") from error
    return _read(base, chain)
