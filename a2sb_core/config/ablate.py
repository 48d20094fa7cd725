"""The grid of an ablation: a training configuration, and what is varied in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from a2sb_core.config.evaluate import split_list
from a2sb_core.config.load import dump, load_tree, validate
from a2sb_core.config.run import ModelConfig, TrainConfig
from a2sb_core.config.tree import Node, merge, parse, put
from a2sb_core.errors import ConfigError

VARY = "--vary"
UNTRAINED: dict[str, Any] = {
    "output": True, "device": True, "log_every": True, "validate_every": True,
    "checkpoint_every": True, "keep_checkpoints": True, "validation": True,
    "model": {"sampler", "steps"}, "data": {"workers"},
}
"""Fields of a training configuration that change no weight, as pydantic's ``exclude``."""

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """One value of an axis: its text in tables, and what is laid over the base."""

    text: str
    layer: Node


@dataclass(frozen=True)
class Axis:
    """Something that is varied."""

    name: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Cell:
    """One configuration of the grid, and the text of its value on each axis."""

    choices: dict[str, str]
    config: TrainConfig

    @property
    def label(self) -> str:
        """The cell's name in tables."""
        return ", ".join(f"{axis}={text}" for axis, text in self.choices.items()) or "base"


def parse_axes(texts: Iterable[str], base: TrainConfig) -> list[Axis]:
    """Read ``PATH=VALUE,VALUE,...`` and ``NAME=FILE.yaml,FILE.yaml,...``.

    A path may leave out links (see :func:`find_field`). Values are YAML; files are laid over the
    whole configuration as those that extend it are.

    Raises:
        ConfigError: one is malformed, or its field is not found.
    """
    axes = [_axis(text, base) for text in texts]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{VARY} {name}: is given twice; name all its values in one")
    return axes


def make_cells(base: Node, axes: Sequence[Axis]) -> list[Cell]:
    """Return all combinations, the last axis running fastest, each checked.

    Raises:
        ConfigError: a combination is no valid configuration.
    """
    cells = []
    for variants in product(*(axis.variants for axis in axes)):
        tree = base
        for variant in variants:
            tree = merge(tree, variant.layer)
        names = [axis.name for axis in axes]
        choices = {name: v.text for name, v in zip(names, variants, strict=True)}
        label = Cell(choices, None).label  # type: ignore[arg-type]
        cells.append(Cell(choices, validate(TrainConfig, tree, f"the cell {label}")))
    return cells


def find_field(name: str, base: TrainConfig) -> Keys:
    """Find the field that a path means in a configuration.

    Links may be left out as long as only one field fits: ``sampler.steps`` is
    ``model.sampler.inner.steps`` where the sampler itself has no ``steps``. A whole path, and
    one that lacks only ``model.``, come first.

    Raises:
        ConfigError: no field fits, or several do.
    """
    keys, paths = tuple(name.split(".")), list(_paths(dump(base)))
    for whole in (keys, ("model", *keys)):
        if whole in paths:
            return whole
    fits = [path for path in paths if path[-1] == keys[-1] and _within(keys, path)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        found = ", ".join(".".join(path) for path in fits)
        raise ConfigError(f"{VARY} {name}: several fields fit: {found}; write one of them")
    # A field that only other components have than those of the base.
    for fields, above in ((TrainConfig.model_fields, ()), (ModelConfig.model_fields, ("model",))):
        if keys[0] in fields and len(keys) > 1:
            return (*above, *keys)
    known = {".".join(path).removeprefix("model."): None for path in paths}
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise ConfigError(f"{VARY} {name}: there is no such field in the base{hint}")


def trained_fields(config: TrainConfig) -> dict[str, Any]:
    """Return what decides the weights of a run, as plain values."""
    return config.model_dump(mode="json", exclude=UNTRAINED)


def _axis(text: str, base: TrainConfig) -> Axis:
    name, _, listed = text.partition("=")
    values = split_list([listed])
    if len(values) == 1 and Path(listed).is_dir():
        values = tuple(str(path) for path in sorted(Path(listed).glob("*.y*ml")))
    if not name or not values:
        raise ConfigError(f"{VARY} {text}: expected PATH=VALUE,VALUE,..., or "
                          "NAME=FILE.yaml,... or NAME=FOLDER with such files")
    if len(set(values)) < len(values):
        raise ConfigError(f"{VARY} {text}: a value is given twice")
    if all(value.endswith((".yaml", ".yml")) for value in values):
        files = [Variant(Path(value).stem, load_tree(Path(value))) for value in values]
        if len({variant.text for variant in files}) < len(files):
            raise ConfigError(f"{VARY} {text}: two files have the same name")
        return Axis(name, tuple(files))
    path = find_field(name, base)
    if path[0] == "output":
        raise ConfigError(f"{VARY} {name}: every cell has a folder of its own")
    return Axis(name, tuple(
        Variant(value, put(Node({}), path, parse(value, f"{VARY} {text}", lines=False)))
        for value in values
    ))


def _paths(tree: Any, above: Keys = ()) -> Iterator[Keys]:
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield (*above, key)
            yield from _paths(inner, (*above, key))


def _within(keys: Keys, path: Keys) -> bool:
    """Whether the keys stand in a path, in order."""
    rest = iter(path)
    return all(key in rest for key in keys)
