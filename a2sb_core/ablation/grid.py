"""Grid of an ablation: a base configuration of training, and the axes along which it varies."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from a2sb_core.config.evaluation import split_list
from a2sb_core.config.loading import Traced, dump, load_tree, trace, validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.config.tree import DEFAULT, Node, merge, parse, put
from a2sb_core.errors import ConfigError

Keys = tuple[str, ...]

VARY = "--vary"
ABSENT = "-"
"""Stands for the value of a field that a cell does not have."""
UNTRAINED: dict[str, Any] = {
    "output": True,
    "device": True,
    "log_every": True,
    "validate_every": True,
    "checkpoint_every": True,
    "keep_checkpoints": True,
    "validation": True,
    "model": {"sampler", "steps"},
    "data": {"workers"},
}
"""Fields of a training configuration that do not change the weights (pydantic's ``exclude``)."""


@dataclass(frozen=True)
class Variant:
    """One value of an axis: its text in tables, and the fields that it changes in the base."""

    text: str
    layer: Node


@dataclass(frozen=True)
class Axis:
    """A field or a set of files that varies; ``path`` is empty for files."""

    name: str
    variants: tuple[Variant, ...]
    path: Keys = ()


@dataclass(frozen=True)
class Cell:
    """One configuration of the grid, or its replicate with one of several seeds.

    Attributes:
        choices: text of its value on each axis.
        config: the configuration.
        differing: values of the fields in which the cells differ, with a note where the default
            took the place of the base's value; fields that are an axis themselves are left out.
        seed: random seed of the replicate; None if each cell is trained with one seed.
    """

    choices: dict[str, str]
    config: TrainConfig
    differing: dict[str, str] = field(default_factory=dict)
    seed: int | None = None

    @property
    def name(self) -> str:
        """Name of the configuration in tables, the same for all its replicates."""
        return ", ".join(f"{axis}={text}" for axis, text in self.choices.items()) or "base"

    @property
    def label(self) -> str:
        """Name of the replicate."""
        return self.name if self.seed is None else f"{self.name}, seed {self.seed}"


def parse_axes(texts: Iterable[str], base: TrainConfig) -> list[Axis]:
    """Parse ``PATH=VALUE,VALUE,...`` and ``NAME=FILE.yaml,FILE.yaml,...``.

    A path may leave out links (see :func:`find_field`). Values are YAML. Files change the whole
    configuration in the same way as a file that extends it.

    Raises:
        ConfigError: a text is malformed, or its field is not found.
    """
    axes = [_axis(text, base) for text in texts]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{VARY} {name}: is given twice; put all its values into one option")
    return axes


def make_cells(base: Node, axes: Sequence[Axis]) -> list[Cell]:
    """Return all combinations, validated; the last axis varies fastest.

    Raises:
        ConfigError: a combination is not a valid configuration.
    """
    cells, traces = [], []
    for variants in product(*(axis.variants for axis in axes)):
        tree = base
        for variant in variants:
            tree = merge(tree, variant.layer)
        names = [axis.name for axis in axes]
        choices = {name: v.text for name, v in zip(names, variants, strict=True)}
        label = Cell(choices, None).label  # type: ignore[arg-type]
        cells.append(Cell(choices, validate(TrainConfig, tree, f"the cell {label}")))
        traces.append({one.path: one for one in trace(cells[-1].config, tree)})
    usual = trace(validate(TrainConfig, base, "the base"), base)
    shown = {".".join(axis.path) for axis in axes}
    differing = _differences(traces, {one.path: one.value for one in usual}, shown)
    return [replace(cell, differing=values) for cell, values in zip(cells, differing, strict=True)]


def replicate(cells: Sequence[Cell], seeds: Sequence[int]) -> list[Cell]:
    """Return each cell once for each random seed of the training.

    Raises:
        ConfigError: a seed is given twice, or the seed varies between the cells already.
    """
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {','.join(map(str, seeds))}: a seed is given twice")
    if len({cell.config.seed for cell in cells}) > 1:
        raise ConfigError(f"--seeds: the seed differs between the cells; remove it from {VARY}")
    return [
        replace(cell, config=cell.config.model_copy(update={"seed": seed}), seed=seed)
        for cell in cells
        for seed in seeds
    ]


def _differences(
    traces: Sequence[Mapping[str, Traced]], base: Mapping[str, str], shown: Collection[str]
) -> list[dict[str, str]]:
    """Return the fields that differ between cells with their values, for each cell."""
    paths = list(dict.fromkeys(path for trace in traces for path in trace))
    values = {path: {t[path].value if path in t else None for t in traces} for path in paths}
    different = [path for path in paths if len(values[path]) > 1 and path not in shown]
    return [
        {path: _noted(own[path], base) if path in own else ABSENT for path in different}
        for own in traces
    ]


def _noted(field: Traced, base: Mapping[str, str]) -> str:
    """Return the value of a field, with a note if the default replaces the base's value."""
    usual = base.get(field.path, field.value)
    if field.origin != DEFAULT or usual == field.value:
        return field.value
    return f"{field.value} (default; the base has {usual})"


def find_field(name: str, base: TrainConfig) -> Keys:
    """Find the field of a configuration that a path denotes.

    Links may be left out as long as only one field matches: ``sampler.steps`` is
    ``model.sampler.inner.steps`` if the sampler itself has no ``steps``. A complete path, or one
    that lacks only ``model.`` or ``optimizer.``, takes precedence.

    Raises:
        ConfigError: no field matches, or several do.
    """
    keys, paths = tuple(name.split(".")), list(_paths(dump(base)))
    for whole in (keys, ("model", *keys), ("optimizer", *keys)):
        if whole in paths:
            return whole
    fits = [path for path in paths if path[-1] == keys[-1] and _within(keys, path)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        found = ", ".join(".".join(path) for path in fits)
        raise ConfigError(f"{VARY} {name}: several fields match: {found}; write one of them")
    # The field may belong to components that only other cells have.
    for fields, above in ((TrainConfig.model_fields, ()), (ModelConfig.model_fields, ("model",))):
        if keys[0] in fields and len(keys) > 1:
            return (*above, *keys)
    known = {".".join(path).removeprefix("model."): None for path in paths}
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise ConfigError(f"{VARY} {name}: there is no such field in the base{hint}")


def trained_fields(config: TrainConfig) -> dict[str, Any]:
    """Return the fields that decide the weights of a run, as JSON values."""
    return config.model_dump(mode="json", exclude=UNTRAINED)


def trained_parts(config: TrainConfig) -> list[Any]:
    """Return the parts of a model whose code decides the weights of a run."""
    names = ModelConfig.model_fields.keys() - UNTRAINED["model"]
    return [getattr(config.model, name) for name in sorted(names)]


def _axis(text: str, base: TrainConfig) -> Axis:
    name, _, listed = text.partition("=")
    values = split_list([listed])
    if len(values) == 1 and Path(listed).is_dir():
        values = tuple(str(path) for path in sorted(Path(listed).glob("*.y*ml")))
    if not name or not values:
        raise ConfigError(
            f"{VARY} {text}: expected PATH=VALUE,VALUE,..., or "
            "NAME=FILE.yaml,... or NAME=FOLDER with such files"
        )
    if len(set(values)) < len(values):
        raise ConfigError(f"{VARY} {text}: a value is given twice")
    if all(value.endswith((".yaml", ".yml")) for value in values):
        files = [Variant(Path(value).stem, load_tree(Path(value))) for value in values]
        if len({variant.text for variant in files}) < len(files):
            raise ConfigError(f"{VARY} {text}: two files have the same name")
        return Axis(name, tuple(files))
    path = find_field(name, base)
    if path[0] == "output":
        raise ConfigError(f"{VARY} {name}: every cell has its own folder")
    return Axis(
        name,
        tuple(
            Variant(value, put(Node({}), path, parse(value, f"{VARY} {text}", lines=False)))
            for value in values
        ),
        path,
    )


def _paths(tree: Any, above: Keys = ()) -> Iterator[Keys]:
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield (*above, key)
            yield from _paths(inner, (*above, key))


def _within(keys: Keys, path: Keys) -> bool:
    """Return whether a path contains the keys in order."""
    rest = iter(path)
    return all(key in rest for key in keys)
