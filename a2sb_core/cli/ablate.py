"""``a2sb ablate``: a grid of configurations, trained, evaluated and set side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli import completing
from a2sb_core.cli.output import progress
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.config.ablate import Cell
    from a2sb_core.config.run import TrainConfig
    from a2sb_core.engine.ablation import Run
    from a2sb_core.engine.evaluation import Evaluation, Report


def ablate(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG", help="The base: a YAML file of a training run, or "
                            "the name of a preset.", autocompletion=completing.configurations)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", show_default=False,
                           help="Where all is kept: run again to add cells or to resume.")
    ],
    vary: Annotated[
        list[str],
        typer.Option(metavar="PATH=VALUES", show_default=False,
                     help="A field and its values (sampler.steps=10,25), or a name and YAML files "
                     "(or a folder of them) that are laid over CONFIG; repeatable.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a field of CONFIG; repeatable.")
    ] = None,
    clips: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", show_default="the base's manifest",
                     help="What is evaluated: a folder of clean audio, a manifest, a file.")
    ] = None,
    split: Annotated[str, typer.Option(help="Rows of a manifest.")] = "validation",
    tasks: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="as of a2sb evaluate",
                     help="Protocols: bandwidth-KHZk, gap-MS, or names of --protocols.",
                     autocompletion=completing.protocols)
    ] = None,
    protocols: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Protocols of your own.")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="as of a2sb evaluate", help="Metrics.",
                     autocompletion=completing.metrics)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many clips.")] = None,
    reference: Annotated[
        str, typer.Option(show_default="the first cell", help="The cell (or `degraded`) the "
                          "others are compared with, clip by clip.")
    ] = "",
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train what has no model yet.")
    ] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train and evaluate all anew, whatever there is.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and write each run's "
                           "train.yaml.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the evaluation.")] = 0,
    device: Annotated[
        str, typer.Option(help="Of the evaluation.", autocompletion=completing.devices)
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="Of the evaluation.", autocompletion=completing.precisions)
    ] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes that evaluate.")] = 1,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw the figures of a2sb evaluate.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Train and evaluate every combination of the values that are varied.

    Cells that differ only in the sampler share one training, and nothing that FOLDER holds is done
    again. Writes table.md, table.csv, summary.json and picture.png.
    """
    from a2sb_core.config import ablate as grid
    from a2sb_core.config.evaluate import EvaluateConfig, split_list
    from a2sb_core.config.load import load_tree, validate
    from a2sb_core.config.run import TrainConfig

    tree = load_tree(source, overrides or [])
    base = validate(TrainConfig, tree, source)
    cells = grid.make_cells(tree, grid.parse_axes(vary, base))
    named = {"tasks": tasks, "metrics": metrics}
    config = validate(EvaluateConfig, {
        "source": clips or _manifest(base), "output": output / "evaluation", "split": split,
        "protocols": protocols, "limit": limit, "seed": seed, "device": device,
        "precision": precision, "jobs": jobs, "fresh": fresh,
        **{name: split_list(texts) for name, texts in named.items() if texts},
    }, "the evaluation")

    from a2sb_core.engine import ablation
    from a2sb_core.engine.protocols import load_protocols

    # What can be known to be wrong is told before hours of training.
    load_protocols(config.tasks, config.protocols)
    reference = ablation.find_reference(cells, reference)
    runs = ablation.plan_runs(base, cells, output)
    if not quiet:
        _say(runs, fresh)
    if dry_run:
        ablation.write_plan(runs)
        return
    failures = _train(runs, train, fresh, quiet)
    models = ablation.cell_models(runs, output)
    if not models:
        raise A2SBError(_failed(runs, failures, None))
    evaluation = ablation.evaluation_of(config, cells, models, reference)
    with progress("evaluating", quiet) as on_result:
        report = evaluation.run(on_result, 2 if figures else 0)
    written = _write(report, evaluation, cells, runs, failures, output, figures)
    if not quiet:
        typer.echo((output / "table.md").read_text(encoding="utf8"))
        typer.echo("wrote:\n" + "\n".join(f"  {path}" for path in written))
    if failures or report.failures:
        raise A2SBError(_failed(runs, failures, report))


def _manifest(base: TrainConfig) -> Path:
    if base.data.source is None or not base.data.source.is_file():
        raise A2SBError(
            "say with --clips what is to be evaluated: the base's data are no single manifest, "
            "so nothing tells which files are for validation"
        )
    return base.data.source


def _train(runs: list[Run], wanted: bool, fresh: bool, quiet: bool) -> dict[str, str]:
    from a2sb_core.engine.ablation import train_runs

    if not wanted:
        return {run.key: "not trained, as --no-train asks" for run in runs if not run.model}
    with progress("training", quiet) as show:
        def on_step(run: Run, step: int, loss: float) -> None:
            text = f"run {runs.index(run) + 1} of {len(runs)}, loss {loss:.4f}"
            show(step, run.config.steps, text)

        return train_runs(runs, fresh, on_step)


def _say(runs: list[Run], fresh: bool) -> None:
    for run in runs:
        state = "to train" if fresh or not run.model else "trained"
        typer.echo(f"{run.config.output.name}, {state}:", err=True)
        for cell in run.cells:
            typer.echo(f"  {cell.label}", err=True)


def _write(
    report: Report, evaluation: Evaluation, cells: list[Cell], runs: list[Run],
    failures: dict[str, str], output: Path, figures: bool,
) -> list[Path]:
    from a2sb_core.cli import ablation_figure, evaluation_figures
    from a2sb_core.engine.ablation_report import rows_of, write_ablation
    from a2sb_core.engine.report import write_report

    config = evaluation.config
    write_report(report, config.output, config.reference, config.seed)
    rows = rows_of(report, cells, config.reference, config.seed)
    written = write_ablation(report, rows, cells, runs, failures, output)
    axes = {axis: list(dict.fromkeys(cell.choices[axis] for cell in cells))
            for axis in cells[0].choices}
    arrows = {m.label: "↑" if m.metric.higher_is_better else "↓" for m in report.measures}
    written.append(ablation_figure.draw(rows, axes, arrows, output / "picture.png"))
    if figures:
        written += evaluation_figures.draw(report, evaluation, output / "figures", 2)
    return written


def _failed(runs: list[Run], failures: dict[str, str], report: Report | None) -> str:
    told: list[Any] = [
        f"{run.config.output.name}: {failures[run.key]}" for run in runs if run.key in failures
    ]
    told += report.failures if report else []
    lines = "\n".join(f"  {failure}" for failure in told)
    return f"{len(told)} parts of the ablation failed (run again to try them again):\n{lines}"
