"""Ablations: every cell of a grid of configurations is trained and evaluated, each thing once."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate.state import AcceleratorState
from pydantic import ValidationError

from a2sb_core.config.ablate import Cell, trained_fields
from a2sb_core.config.evaluate import EvaluateConfig
from a2sb_core.config.load import dump, load_config, to_yaml
from a2sb_core.config.run import ModelConfig, TrainConfig
from a2sb_core.engine.checkpoint import CONFIG_NAME, WEIGHTS_NAME, describe
from a2sb_core.engine.evaluation import Evaluation
from a2sb_core.engine.results import fingerprint
from a2sb_core.engine.runinfo import read_run
from a2sb_core.engine.training import OnTrainStep, Trainer
from a2sb_core.errors import A2SBError, ConfigError

OnRun = Callable[["Run", int, float], None]
RUN_FILE = "train.yaml"


@dataclass(frozen=True)
class Run:
    """One training that serves all cells which differ in nothing that is trained.

    Attributes:
        config: of the training; its ``output`` is the run's folder.
        elsewhere: a folder that may hold the model of the same training.
    """

    key: str
    cells: tuple[Cell, ...]
    config: TrainConfig
    elsewhere: Path

    @property
    def model(self) -> Path | None:
        """The folder of the trained model; None: it is not there yet."""
        for folder in (self.config.output / "model", self.elsewhere / "model"):
            if _trained_by(folder) == self.key:
                return folder
        return None


def plan_runs(base: TrainConfig, cells: Sequence[Cell], output: Path) -> list[Run]:
    """Group cells by what is trained, in their order.

    A run's folder in ``output``/runs is named by what tells it from others, and by a hash of all
    that decides its weights: of another base, the same ablation is another run. What samples
    during its validation is the base's sampler.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_key(cell.config), []).append(cell)
    return [_run(key, group, base, output / "runs") for key, group in groups.items()]


def train_runs(
    runs: Sequence[Run], fresh: bool = False, on_step: OnRun | None = None
) -> dict[str, str]:
    """Train what is not trained yet; a run that was interrupted goes on from its checkpoint.

    Each run's folder gets its configuration, ``train.yaml``: ``a2sb train`` does the same with it.

    Args:
        runs: the runs of :func:`plan_runs`.
        fresh: train all of them, whatever there is.
        on_step: called with (run, step, loss).

    Returns:
        Why runs failed, by key; the others are trained all the same.

    Raises:
        ConfigError: there are several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "an ablation runs in one process; for several, write its plan with --dry-run and "
            f"train each runs/*/{RUN_FILE} with `accelerate launch`"
        )
    failures = {}
    for run in runs:
        if run.model and not fresh:
            continue
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
    """Make a model folder for each cell whose run is trained: its sampler, the run's weights.

    Returns:
        The folders by the labels of the cells, in the order of ``runs``.
    """
    folders = {}
    for run in runs:
        trained = run.model
        for cell in run.cells if trained else ():
            assert trained is not None
            identity = fingerprint(run.key, dump(cell.config.model))
            folder = output / "cells" / f"{_stem(cell.label)}.{identity[:8]}"
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(describe(cell.config.model), indent=2) + "\n"
            (folder / CONFIG_NAME).write_text(text, encoding="utf8")
            _link(trained / WEIGHTS_NAME, folder / WEIGHTS_NAME)
            folders[cell.label] = folder
    return folders


def find_reference(cells: Sequence[Cell], given: str) -> str:
    """Return the label of the cell that is meant, by its label or by its values alone.

    Raises:
        ConfigError: it is none of the cells.
    """
    known = {", ".join(cell.choices.values()): cell.label for cell in cells}
    known |= {cell.label: cell.label for cell in cells} | {"degraded": "degraded"}
    if given and given not in known:
        labels = ", ".join(f"`{label}`" for label in dict.fromkeys(known.values()))
        raise ConfigError(f"the reference `{given}` is no cell; there are {labels}")
    return known.get(given, "")


def evaluation_of(
    config: EvaluateConfig, cells: Sequence[Cell], models: dict[str, Path], reference: str = ""
) -> Evaluation:
    """Return the evaluation of all cells that have a model, in the order of ``cells``.

    Args:
        config: clips, tasks, metrics; its systems and reference are not looked at.
        cells: all cells.
        models: of :func:`cell_models`.
        reference: label of the cell that the others are compared with; the first by default.

    Raises:
        A2SBError: as :class:`Evaluation` raises.
    """
    labels = [cell.label for cell in cells if cell.label in models]
    return Evaluation(config.model_copy(update={
        "systems": tuple(str(models[label]) for label in labels),
        "labels": {str(models[label]): label for label in labels},
        "reference": reference or labels[0],
    }))


def _run(key: str, cells: Sequence[Cell], base: TrainConfig, runs: Path) -> Run:
    shared = set.intersection(*(set(cell.choices.items()) for cell in cells))
    told = {axis: text for axis, text in cells[0].choices.items() if (axis, text) in shared}
    name = _stem(Cell(told, base).label)
    # What else is varied, and hence the name, may have changed since the run began.
    folder = next(runs.glob(f"*.{key[:8]}"), runs / f"{name}.{key[:8]}")
    model = _begun(folder, key) or base.model
    sampling = {"sampler": model.sampler, "steps": model.steps}
    config = cells[0].config
    config = config.model_copy(
        update={"model": config.model.model_copy(update=sampling), "output": folder}
    )
    return Run(key, tuple(cells), config, base.output)


def _begun(folder: Path, key: str) -> ModelConfig | None:
    """Return the model of a run that has begun: its checkpoints ask for the very same."""
    if not (folder / RUN_FILE).is_file():
        return None
    config = load_config(TrainConfig, folder / RUN_FILE)
    return config.model if _key(config) == key else None


def _train(run: Run, fresh: bool, on_step: OnRun | None) -> None:
    write_plan([run])
    AcceleratorState._reset_state(True)  # it keeps the precision of the first run of a process
    trainer = Trainer(run.config)
    report: OnTrainStep | None = None
    if on_step is not None:
        def report(step: int, loss: float) -> None:
            on_step(run, step, loss)
    trainer.run(not fresh, report)
    del trainer
    gc.collect()  # its memory is wanted by the next one


def _key(config: TrainConfig) -> str:
    return fingerprint(trained_fields(config))


def _trained_by(folder: Path) -> str | None:
    """Return the key of the run that a finished model came from."""
    account = read_run(folder)
    if account is None or not (folder / WEIGHTS_NAME).is_file():
        return None
    try:
        return _key(TrainConfig.model_validate(account.get("config")))
    except ValidationError:
        return None


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the file ``source``; a copy where the disk knows no links."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _stem(label: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", label)[:100]
