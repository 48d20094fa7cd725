"""``a2sb evaluate``: systems side by side on clips that are damaged and restored."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli import completing
from a2sb_core.cli.options import DeviceOption, PrecisionOption
from a2sb_core.cli.output import console, print_json, progress
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.engine.evaluation import Report

FIGURE_CLIPS = 2
"""Clips whose spectrograms are drawn."""


class Channels(StrEnum):
    """What is done with recordings of several channels."""

    mono = "mono"
    each = "each"


def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of clean audio, a manifest (CSV) or "
                             "an audio file.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", show_default=False,
                           help="Where results are kept: run again to add or to resume.")
    ],
    tasks: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="bandwidth-4k,bandwidth-8k,gap-300",
                     help="Protocols: bandwidth-KHZk, gap-MS, or names of --protocols.",
                     autocompletion=completing.protocols)
    ] = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="small,band_replication",
                     help="Models (MODEL or MODEL@STEPS) and restorers, as NAME or "
                     "NAME(OPTION=VALUE); the damaged audio always comes first.",
                     autocompletion=completing.systems)
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="LSD, SiSpec, ViSQOL",
                     help="Metrics, as NAME or NAME(OPTION=VALUE).",
                     autocompletion=completing.metrics)
    ] = None,
    steps: Annotated[
        str, typer.Option(metavar="LIST", help="Every model once for each: 2,5,10.")
    ] = "",
    reference: Annotated[
        str, typer.Option(help="The system the others are compared with, clip by clip.")
    ] = "degraded",
    split: Annotated[str, typer.Option(help="Rows of a manifest.")] = "validation",
    protocols: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Protocols of your own.")
    ] = None,
    channels: Annotated[
        Channels, typer.Option(help="mono: the mean of the channels; each: all of them.")
    ] = Channels.mono,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many clips.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes that work side by side.")] = 1,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw spectrograms, magnitudes, phase residuals.")
    ] = False,
    keep_audio: Annotated[
        bool, typer.Option("--keep-audio", help="Write what the systems return.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what FOLDER holds; compute everything.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Damage clean clips, restore them with several systems, and measure how close they come.

    Writes table.md, values.csv and summary.json. Only what FOLDER does not hold is computed.
    """
    from a2sb_core.config import evaluate as settings
    from a2sb_core.config.load import validate

    named = {
        name: settings.split_list(texts)
        for name, texts in (("tasks", tasks), ("systems", systems), ("metrics", metrics)) if texts
    }
    config = validate(settings.EvaluateConfig, {
        "source": source, "output": output, "split": split, "protocols": protocols,
        "steps": _numbers(steps), "reference": reference, "channels": channels.value,
        "limit": limit, "seed": seed, "device": device, "precision": precision, "jobs": jobs,
        "keep_audio": keep_audio, "fresh": fresh, **named,
    }, "the evaluation")

    from a2sb_core.engine.evaluation import Evaluation
    from a2sb_core.engine.report import write_report

    evaluation = Evaluation(config)
    with progress("evaluating", quiet) as on_result:
        report = evaluation.run(on_result, FIGURE_CLIPS if figures else 0)
    rows, _ = write_report(report, output, reference, seed)
    written = [output / name for name in ("table.md", "values.csv", "summary.json")]
    if figures:
        from a2sb_core.cli.evaluation_figures import draw

        written += draw(report, evaluation, output / "figures", FIGURE_CLIPS)
    if as_json:
        print_json({"rows": rows, "computed": report.computed, "written": written})
    elif not quiet:
        _print(report, rows, written)
    if report.failures:
        raise A2SBError(_failed(report))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is not a list of whole numbers, such as 2,5,10", param_hint="--steps"
        ) from None


def _print(report: Report, rows: list[dict[str, Any]], written: list[Path]) -> None:
    from rich.table import Table

    from a2sb_core.engine.report import number, skips

    table = Table("task", "system", box=None, pad_edge=False)
    for measure in report.measures:
        arrow = "↑" if measure.metric.higher_is_better else "↓"
        table.add_column(f"{measure.label} {arrow}", justify="right")
    for row in rows:
        means = [number(row["metrics"][measure.label]["mean"]) for measure in report.measures]
        table.add_row(row["task"], row["system"], *means)
    console().print(table, highlight=False, markup=False)
    for line in skips(report):
        typer.echo(f"not done: {line}")
    typer.echo(f"\n{len(report.clips)} clips, {report.computed} restorations computed; wrote:")
    typer.echo("\n".join(f"  {path}" for path in written))


def _failed(report: Report) -> str:
    shown = "\n".join(f"  {failure}" for failure in report.failures[:5])
    more = f"\n  and {len(report.failures) - 5} more" if len(report.failures) > 5 else ""
    return (
        f"{len(report.failures)} of the evaluation's parts failed (run again to try them again):\n"
        f"{shown}{more}"
    )
