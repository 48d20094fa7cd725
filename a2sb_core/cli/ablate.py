"""``a2sb ablate``: trains, evaluates and compares a grid of configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.evaluate import failure_text, measure, whole_numbers
from a2sb_core.cli.evaluation_options import EvaluationOptions
from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.options import ConfigArgument
from a2sb_core.cli.output import progress
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.ablation.grid import Cell
    from a2sb_core.ablation.runs import Run
    from a2sb_core.config.evaluation import EvaluateConfig
    from a2sb_core.config.training import TrainConfig
    from a2sb_core.evaluation.runner import Evaluation


@dataclass(frozen=True)
class GridOptions:
    """The grid of configurations, and what is done with it."""

    vary: Annotated[
        list[str],
        typer.Option(
            metavar="PATH=VALUES",
            show_default=False,
            help="A field and its values (sampler.steps=10,25), or a name and YAML files (or a "
            "folder of them) that change CONFIG; repeatable.",
        ),
    ]
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a field of CONFIG; repeatable."),
    ] = None
    clips: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            show_default="the validation files of CONFIG",
            help="Clips to evaluate: a folder of clean audio, a manifest or an audio file.",
        ),
    ] = None
    seeds: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            show_default="the seed of CONFIG",
            help="Random seeds of the training, such as 0,1,2: each cell is trained with each of "
            "them, and the tables give means and intervals over the seeds.",
        ),
    ] = ""
    reference: Annotated[
        str,
        typer.Option(
            show_default="the first cell",
            help="Cell (or `degraded`) that the others are compared with, clip by clip.",
        ),
    ] = ""
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train the runs that have no model yet.")
    ] = True
    remeasure: Annotated[
        bool,
        typer.Option(
            "--remeasure", help="Discard the results in FOLDER and measure again; train nothing."
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show the plan, and write the train.yaml of each run."),
    ] = False


@grouped
def ablate(
    source: ConfigArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            show_default=False,
            help="Folder for runs and results. Run again with the same folder to resume or to add "
            "cells.",
        ),
    ],
    grid: GridOptions,
    options: EvaluationOptions,
) -> None:
    """Train and evaluate every combination of the values that vary.

    Cells that differ only in their sampler share one training run. Results that FOLDER holds are
    not computed again. Writes table.md, table.csv, summary.json and picture.png.
    """
    base, cells, config = _plan(source, output, grid, options)

    from a2sb_core.ablation import runs as ablation
    from a2sb_core.evaluation.protocols import load_protocols

    load_protocols(config.tasks, config.protocols)  # finds mistakes before hours of training
    reference = ablation.find_reference(cells, grid.reference)
    runs = ablation.plan_runs(base, cells, output)
    is_trained = grid.train and not grid.remeasure
    if not options.quiet:
        _show_plan(runs, options.fresh and is_trained)
    if grid.dry_run:
        ablation.write_plan(runs)
        return
    failures = _train(runs, is_trained, options.fresh, options.quiet)
    failed: list[object] = [
        f"{run.config.output.name}: {failures[run.key]}" for run in runs if run.key in failures
    ]
    models = ablation.cell_models(runs, output)
    if models:
        evaluation = ablation.evaluation_of(config, cells, models, reference)
        failed += _evaluate(evaluation, cells, runs, failures, output, options)
    if failed:
        raise A2SBError(failure_text(failed, "ablation"))


def _plan(
    source: str, output: Path, grid: GridOptions, options: EvaluationOptions
) -> tuple[TrainConfig, list[Cell], EvaluateConfig]:
    """Return the base, the cells of the grid, and the configuration of the evaluation."""
    from a2sb_core.ablation.grid import make_cells, parse_axes, replicate
    from a2sb_core.config.evaluation import EvaluateConfig
    from a2sb_core.config.loading import load_tree, validate
    from a2sb_core.config.training import TrainConfig

    tree = load_tree(source, grid.overrides or [])
    base = validate(TrainConfig, tree, source)
    cells = make_cells(tree, parse_axes(grid.vary, base))
    if seeds := whole_numbers(grid.seeds, "--seeds"):
        cells = replicate(cells, seeds)
    fields = options.fields(output=output / "evaluation", **_clips(base, grid.clips))
    if grid.remeasure:
        fields["fresh"] = True
    return base, cells, validate(EvaluateConfig, fields, "the evaluation")


def _evaluate(
    evaluation: Evaluation,
    cells: list[Cell],
    runs: list[Run],
    failures: dict[str, str],
    output: Path,
    options: EvaluationOptions,
) -> Sequence[object]:
    """Evaluate the cells and write all results; return what failed."""
    from a2sb_core.ablation.report import write_ablation

    report, _, written = measure(evaluation, output, options)
    written = [*write_ablation(report, cells, runs, failures, output), *written]
    if not options.quiet:
        typer.echo((output / "table.md").read_text(encoding="utf8"))
        typer.echo("wrote:\n" + "\n".join(f"  {path}" for path in written))
    return report.failures


def _clips(base: TrainConfig, given: Path | None) -> dict[str, Any]:
    """Return the clips to evaluate, by default those that the training of the base sets aside."""
    if given is not None:
        return {"source": given}
    source, count = base.data.source, base.data.validation_files
    if source is None or (source.is_dir() and count == 0):
        why = "has several sources" if source is None else "sets no files aside for validation"
        raise A2SBError(f"specify the clips to evaluate with --clips: the data of CONFIG {why}")
    return {"source": source, "held_out": count if source.is_dir() else None}


def _train(runs: list[Run], wanted: bool, fresh: bool, quiet: bool) -> dict[str, str]:
    from a2sb_core.ablation.runs import train_runs

    if not wanted:
        reason = "it is not trained yet; run again without --no-train and --remeasure"
        return {run.key: reason for run in runs if not run.model}
    with progress("training", quiet) as show:

        def on_step(run: Run, step: int, loss: float) -> None:
            text = f"run {runs.index(run) + 1} of {len(runs)}, loss {loss:.4f}"
            show(step, run.config.steps, text)

        return train_runs(runs, fresh, on_step)


def _show_plan(runs: list[Run], fresh: bool) -> None:
    from a2sb_core.ablation.grid import ABSENT

    shown = set()
    for run in runs:
        state = "to train" if fresh or not run.model else "trained"
        typer.echo(f"{run.config.output.name}, {state}:", err=True)
        for cell in run.cells:
            typer.echo(f"  {cell.label}", err=True)
            for path, value in cell.differing.items() if cell.name not in shown else ():
                if value != ABSENT:
                    typer.echo(f"    {path}: {value}", err=True)
            shown.add(cell.name)
