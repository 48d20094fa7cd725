"""Combines models that were fine-tuned on ranges of t into one (section 3.5)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch

from a2sb_core.config.evaluation import parse_spec
from a2sb_core.errors import ConfigError, ModelError, PluginError
from a2sb_core.interfaces import Backbone, MergingBackbone
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.models.run_record import RUN_NAME, read_run
from a2sb_core.plugins import default_registry

TOLERANCE = 1e-6
"""Tolerated gap between ranges of t, since they may have been written with few digits."""


def merge_models(folders: Sequence[Path], into: str | None = None) -> Model:
    """Combine models, each of which then serves the times that it was trained on.

    Args:
        folders: model folders of training runs, in any order.
        into: registered name of the backbone that combines the networks (default: the only one
            that can), with its settings: ``experts(offload=true)``.

    Raises:
        ConfigError: the backbone has no such setting, or its value is wrong.
        ModelError: a folder does not say on which times it was trained, the ranges do not cover 0
            to 1 exactly once, the models differ in more than their weights, or the backbone is
            ambiguous or cannot combine networks.
    """
    ranges = sorted((trained_range(folder), folder) for folder in folders)
    named = ", ".join(f"{folder} ({low:g} to {high:g})" for (low, high), folder in ranges)
    edges = [(0.0, 0.0), *(times for times, _ in ranges), (1.0, 1.0)]
    if any(abs(before[1] - after[0]) > TOLERANCE for before, after in pairwise(edges)):
        raise ModelError(f"the ranges of t must cover 0 to 1 exactly once, but are: {named}")
    models = [load_model(folder) for _, folder in ranges]
    first = models[0]
    for (_, folder), model in zip(ranges, models, strict=True):
        if model.config != first.config or not _same_statistics(model, first):
            raise ModelError(
                f"{folder} and {ranges[0][1]} differ in their composition or statistics: "
                "fine-tune all models from the same one"
            )
    cuts = tuple(high for (_, high), _ in ranges[:-1])
    spec = parse_spec(into) if into else None
    merge: Callable[..., Backbone] = merging_backbone(spec.name if spec else None).merge
    options = spec.options if spec else {}
    try:
        backbone = merge([model.backbone for model in models], cuts, **options)
    except (TypeError, ValueError) as error:
        if not options:
            raise
        raise ConfigError(f"`{into}` cannot combine the networks: {error}") from error
    merged = Model(first.config.model_copy(update={"backbone": backbone.config}))
    merged.backbone = backbone
    merged.prediction.load_state_dict(first.prediction.state_dict())
    return merged.eval()


def merging_backbone(name: str | None = None) -> type[MergingBackbone]:
    """Return the registered backbone that combines networks.

    Args:
        name: its registered name (default: the only one that can).

    Raises:
        PluginError: the name is not registered.
        ModelError: the backbone cannot combine networks, or there is not exactly one that can.
    """
    registry = default_registry()
    names = [name] if name else [registry.shortest(one) for one in registry.entries("backbone")]
    able: dict[str, type[MergingBackbone]] = {}
    for one in names:
        # A broken plugin matters only to those who name it.
        with contextlib.suppress(*(() if name else (PluginError,))):
            found = registry.resolve("backbone", one)
            able |= {one: found} if issubclass(found, MergingBackbone) else {}
    if len(able) == 1:
        return able.popitem()[1]
    if able:
        raise ModelError(f"choose a backbone with --into (into=): {', '.join(sorted(able))}")
    raise ModelError(f"{name or 'no registered backbone'} cannot combine networks (`merge`)")


def trained_range(folder: Path) -> tuple[float, float]:
    """Return the range of t that the model of a training run was trained on.

    Raises:
        ModelError: the folder does not say.
    """
    record = read_run(folder) or {}
    try:
        low, high = record["config"]["t_range"]
        return float(low), float(high)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder} does not say which t it was trained on, since its {RUN_NAME} is missing or "
            "damaged; give the folder `model` of a training run"
        ) from error


def _same_statistics(one: Model, other: Model) -> bool:
    mine, theirs = one.prediction.state_dict(), other.prediction.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)
