"""Models that were fine-tuned on ranges of t, put together into one (section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from a2sb_core.engine.checkpoint import load_model
from a2sb_core.engine.model import Model
from a2sb_core.engine.runinfo import RUN_NAME, read_run
from a2sb_core.errors import ModelError
from a2sb_core.plugins import default_registry

EXPERTS = "experts"
TOLERANCE = 1e-6
"""Ranges that were written with fewer digits meet all the same."""


def gather_experts(folders: Sequence[Path]) -> Model:
    """Put models together, each of which serves the times that it was trained on.

    Raises:
        ModelError: a folder does not say what it was trained on, the ranges do not cover 0 to 1
            once, or the models differ in more than their weights.
    """
    ranges = sorted((trained_range(folder), folder) for folder in folders)
    named = ", ".join(f"{folder} ({low:g} to {high:g})" for (low, high), folder in ranges)
    edges = [(0.0, 0.0), *(times for times, _ in ranges), (1.0, 1.0)]
    if any(abs(before[1] - after[0]) > TOLERANCE for before, after in pairwise(edges)):
        raise ModelError(f"the ranges of t must cover 0 to 1 once, and are: {named}")
    models = [load_model(folder) for _, folder in ranges]
    first = models[0]
    for (_, folder), model in zip(ranges, models, strict=True):
        if model.config != first.config or not _same_statistics(model, first):
            raise ModelError(
                f"{folder} and {ranges[0][1]} differ in their composition or statistics: "
                "fine-tune all experts from one model"
            )
    experts = default_registry().resolve("backbone", EXPERTS)
    cuts = tuple(high for (_, high), _ in ranges[:-1])
    backbone = experts.gather([model.backbone for model in models], cuts)
    gathered = Model(first.config.model_copy(update={"backbone": backbone.config}))
    gathered.backbone = backbone
    gathered.prediction.load_state_dict(first.prediction.state_dict())
    return gathered.eval()


def trained_range(folder: Path) -> tuple[float, float]:
    """Return the times that the model of a training run was trained on.

    Raises:
        ModelError: the folder does not say.
    """
    account = read_run(folder)
    try:
        low, high = (account or {})["config"]["t_range"]
        return float(low), float(high)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder} does not say which t it was trained on: {RUN_NAME} is missing there, or "
            "damaged; give the folder `model` of a training run"
        ) from error


def _same_statistics(one: Model, other: Model) -> bool:
    mine, theirs = one.prediction.state_dict(), other.prediction.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)
