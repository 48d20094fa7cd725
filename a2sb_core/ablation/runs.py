"""Training runs of an ablation: cells that share their training share a run."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate.state import AcceleratorState
from pydantic import ValidationError

from a2sb_core.ablation.grid import Cell, trained_fields, trained_parts
from a2sb_core.common.text import slug
from a2sb_core.config.evaluation import DEGRADED, EvaluateConfig
from a2sb_core.config.loading import dump, load_config, to_yaml
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.evaluation.results import fingerprint
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.models.folder import CONFIG_NAME, WEIGHTS_NAME, describe
from a2sb_core.models.run_record import read_run
from a2sb_core.plugins.code_digests import check_plugin_code, plugin_code
from a2sb_core.training.trainer import Trainer

OnRun = Callable[["Run", int, float], None]
RUN_FILE = "train.yaml"
LONGEST_NAME = 100
"""Largest number of characters of a cell's label in the name of a folder."""


@dataclass(frozen=True)
class Run:
    """One training run for all cells that do not differ in any trained field.

    Attributes:
        key: fingerprint of everything that decides the weights.
        cells: the cells that use its weights.
        config: configuration of the training; its ``output`` is the folder of the run.
        elsewhere: another folder that may hold the model of the same training.
    """

    key: str
    cells: tuple[Cell, ...]
    config: TrainConfig
    elsewhere: Path

    @property
    def title(self) -> str:
        """The labels of its cells."""
        return "; ".join(cell.label for cell in self.cells)

    @property
    def model(self) -> Path | None:
        """The folder of the trained model; None before the training has finished."""
        for folder in (self.config.output / "model", self.elsewhere / "model"):
            if _key_of_model(folder) == self.key:
                return folder
        return None


def plan_runs(base: TrainConfig, cells: Sequence[Cell], output: Path) -> list[Run]:
    """Group cells by their training, in order.

    The name of a run's folder in ``output``/runs ends in a hash of everything that decides its
    weights, so that another base makes another run. Validation samples with the base's sampler.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_key(cell.config), []).append(cell)
    return [_plan(key, group, base, output / "runs") for key, group in groups.items()]


def train_runs(
    runs: Sequence[Run], fresh: bool = False, on_step: OnRun | None = None
) -> dict[str, str]:
    """Train the runs that have no model yet; interrupted ones continue from their checkpoints.

    The folder of each run gets its configuration, ``train.yaml``, which ``a2sb train`` accepts.

    Args:
        runs: the runs of :func:`plan_runs`.
        fresh: train all runs again.
        on_step: called with (run, step, loss).

    Returns:
        Why runs failed, by key. A failed run does not stop the others.

    Raises:
        ConfigError: there are several processes.
        PluginError: the code of a plugin changed after the runs were planned.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "an ablation runs in one process; to use several, write its plan with --dry-run and "
            f"train each runs/*/{RUN_FILE} with `accelerate launch`"
        )
    failures = {}
    for run in runs:
        if run.model and not fresh:
            continue
        check_plugin_code()
        try:
            _train(run, fresh, on_step)
        except A2SBError as error:
            failures[run.key] = str(error)
    return failures


def write_plan(runs: Sequence[Run]) -> None:
    """Write the configuration of each run into its folder."""
    for run in runs:
        run.config.output.mkdir(parents=True, exist_ok=True)
        (run.config.output / RUN_FILE).write_text(to_yaml(run.config), encoding="utf8")


def cell_models(runs: Sequence[Run], output: Path) -> dict[str, Path]:
    """Make a model folder for each cell of a trained run: the cell's sampler, the run's weights.

    Returns:
        The folders by the labels of the cells, in the order of ``runs``.
    """
    folders = {}
    for run in runs:
        trained = run.model
        if trained is None:
            continue
        for cell in run.cells:
            identity = fingerprint(run.key, dump(cell.config.model))
            folder = output / "cells" / f"{slug(cell.label)[:LONGEST_NAME]}.{identity[:8]}"
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(describe(cell.config.model), indent=2) + "\n"
            (folder / CONFIG_NAME).write_text(text, encoding="utf8")
            _link(trained / WEIGHTS_NAME, folder / WEIGHTS_NAME)
            folders[cell.label] = folder
    return folders


def find_reference(cells: Sequence[Cell], given: str) -> str:
    """Return the name of the reference cell, given by its name or by its values alone.

    Raises:
        ConfigError: there is no such cell.
    """
    known = {", ".join(cell.choices.values()): cell.name for cell in cells}
    known |= {cell.name: cell.name for cell in cells} | {DEGRADED: DEGRADED}
    if given and given not in known:
        labels = ", ".join(f"`{label}`" for label in dict.fromkeys(known.values()))
        raise ConfigError(f"the reference `{given}` is no cell; there are {labels}")
    return known.get(given, "")


def evaluation_of(
    config: EvaluateConfig, cells: Sequence[Cell], models: Mapping[str, Path], reference: str = ""
) -> Evaluation:
    """Return the evaluation of all cells that have a model, in the order of ``cells``.

    Args:
        config: clips, tasks and metrics; its systems and reference are ignored.
        cells: all cells.
        models: result of :func:`cell_models`.
        reference: name of the cell that the others are compared with; default: the first.

    Raises:
        A2SBError: see :class:`Evaluation`.
    """
    labels = [cell.label for cell in cells if cell.label in models]
    replicates = [cell.label for cell in cells if cell.name == reference]
    chosen = next((label for label in replicates if label in models), reference)
    return Evaluation(
        config.model_copy(
            update={
                "systems": tuple(str(models[label]) for label in labels),
                "labels": {str(models[label]): label for label in labels},
                "reference": chosen or labels[0],
            }
        )
    )


def _plan(key: str, cells: Sequence[Cell], base: TrainConfig, runs: Path) -> Run:
    shared = set.intersection(*(set(cell.choices.items()) for cell in cells))
    choices = {axis: text for axis, text in cells[0].choices.items() if (axis, text) in shared}
    name = slug(replace(cells[0], choices=choices).label)[:LONGEST_NAME]
    # The axes, and hence the name, may have changed since the run began.
    folder = next(runs.glob(f"*.{key[:8]}"), runs / f"{name}.{key[:8]}")
    model = _model_of_begun(folder, key) or base.model
    sampling = {"sampler": model.sampler, "steps": model.steps}
    config = cells[0].config
    config = config.model_copy(
        update={"model": config.model.model_copy(update=sampling), "output": folder}
    )
    return Run(key, tuple(cells), config, base.output)


def _model_of_begun(folder: Path, key: str) -> ModelConfig | None:
    """Return the model of a run that has begun, which its checkpoints require unchanged."""
    if not (folder / RUN_FILE).is_file():
        return None
    config = load_config(TrainConfig, folder / RUN_FILE)
    return config.model if _key(config) == key else None


def _train(run: Run, fresh: bool, on_step: OnRun | None) -> None:
    write_plan([run])
    AcceleratorState._reset_state(True)  # it keeps the precision of the first run of a process
    trainer = Trainer(run.config)
    trainer.run(not fresh, on_step and (lambda step, loss: on_step(run, step, loss)))
    del trainer
    gc.collect()  # the next run needs its memory


def _key(config: TrainConfig, recorded: Mapping[str, str] | None = None) -> str:
    """Return the key of a run with the code of plugins as it is, or as it is recorded."""
    code = plugin_code(*trained_parts(config))
    if recorded is not None:
        code = {name: recorded.get(name, "unknown") for name in code}
    return fingerprint({**trained_fields(config), **({"code": code} if code else {})})


def _key_of_model(folder: Path) -> str | None:
    """Return the key of the run that made a finished model."""
    record = read_run(folder)
    if record is None or not (folder / WEIGHTS_NAME).is_file():
        return None
    codes = [session.get("code", {}) for session in record.get("sessions", ())]
    recorded = codes[0] if codes and all(code == codes[0] for code in codes) else {}
    try:
        return _key(TrainConfig.model_validate(record.get("config")), recorded)
    except ValidationError:
        return None


def _link(source: Path, target: Path) -> None:
    """Make ``target`` a hard link to ``source``, or a copy where the disk has no links."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
