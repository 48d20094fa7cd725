"""``a2sb evaluate``: compares systems on clips that are damaged and restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.evaluation_options import EvaluationOptions
from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import console, print_json, progress
from a2sb_core.common.text import printable
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.config.evaluation import EvaluateConfig
    from a2sb_core.evaluation.runner import Evaluation, EvaluationReport

FIGURE_CLIPS = 2
"""Number of clips whose spectrograms are drawn."""
SHOWN_FAILURES = 5


@dataclass(frozen=True)
class SystemOptions:
    """Systems that are compared, and what is kept of their results."""

    systems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="the built-in model and baseline",
            help="Models (MODEL, MODEL@STEPS or MODEL(backend=onnx)) and restorers, NAME or "
            "NAME(OPTION=VALUE); the damaged audio is always included.",
            autocompletion=completion.systems,
        ),
    ] = None
    steps: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            show_default="the model's",
            help="Numbers of sampler steps, such as 2,5,10; every model is evaluated with each.",
        ),
    ] = ""
    reference: Annotated[
        str, typer.Option(help="System that the others are compared with, clip by clip.")
    ] = "degraded"
    channels: Annotated[
        Literal["mono", "each"],
        typer.Option(help="mono: the mean of the channels; each: every channel."),
    ] = "mono"
    held_out: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="all",
            help="Number of files of a folder to evaluate, the last by path, which training sets "
            "aside (data.validation_files).",
        ),
    ] = None
    keep_audio: Annotated[bool, typer.Option("--keep-audio", help="Write the restored audio.")] = (
        False
    )
    as_json: JsonOption = False


@grouped
def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A folder of clean audio, a manifest (CSV) or an audio file."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            show_default=False,
            help="Folder for the results. Run again with the same folder to resume or to add.",
        ),
    ],
    compared: SystemOptions,
    options: EvaluationOptions,
) -> None:
    """Damage clean clips, restore them with several systems, and measure the results.

    Writes table.md, values.csv and summary.json. Results that FOLDER holds are not computed again.
    """
    config = _config(source, output, compared, options)

    from a2sb_core.evaluation.runner import Evaluation

    report, rows, written = measure(Evaluation(config), output, options)
    if compared.as_json:
        print_json({"rows": rows, "computed": report.computed, "written": written})
    elif not options.quiet:
        _print(report, rows, written)
    if report.failures:
        raise A2SBError(failure_text(report.failures, "evaluation"))


def measure(
    evaluation: Evaluation, output: Path, options: EvaluationOptions
) -> tuple[EvaluationReport, list[dict[str, Any]], list[Path]]:
    """Run an evaluation; return its report, the rows of its table, and the files it wrote.

    Figures are written to ``output``/figures.
    """
    from a2sb_core.evaluation.reports import write_report
    from a2sb_core.evaluation.statistics import summarize
    from a2sb_core.plotting.evaluation import draw

    clips = FIGURE_CLIPS if options.figures else 0
    with progress("evaluating", options.quiet) as on_result:
        report = evaluation.run(on_result, clips)
    rows = summarize(report)
    written = write_report(report, rows, evaluation.config.output)
    if clips:
        written += draw(report, evaluation, output / "figures", clips)
    return report, rows, written


def _config(
    source: Path, output: Path, compared: SystemOptions, options: EvaluationOptions
) -> EvaluateConfig:
    """Return the configuration that the options describe."""
    from a2sb_core.config.evaluation import EvaluateConfig, split_list
    from a2sb_core.config.loading import validate

    fields = options.fields(
        source=source,
        output=output,
        steps=whole_numbers(compared.steps, "--steps"),
        reference=compared.reference,
        channels=compared.channels,
        keep_audio=compared.keep_audio,
        held_out=compared.held_out,
    )
    if compared.systems:
        fields["systems"] = split_list(compared.systems)
    return validate(EvaluateConfig, fields, "the evaluation")


def failure_text(failures: Sequence[object], what: str) -> str:
    """Return the message of a command some of whose parts failed."""
    lines = [f"  {failure}" for failure in failures[:SHOWN_FAILURES]]
    if len(failures) > SHOWN_FAILURES:
        lines.append(f"  and {len(failures) - SHOWN_FAILURES} more")
    count = f"{len(failures)} part{'s' * (len(failures) != 1)}"
    return f"{count} of the {what} failed; run again to retry:\n" + "\n".join(lines)


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Return the numbers of a list such as ``2,5,10``, which is the value of an option."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is not a list of whole numbers, such as 2,5,10", param_hint=option
        ) from None


def _print(report: EvaluationReport, rows: list[dict[str, Any]], written: list[Path]) -> None:
    from rich.table import Table

    from a2sb_core.evaluation.reports import format_number

    table = Table("task", "system", box=None, pad_edge=False)
    for metric in report.metrics:
        table.add_column(metric.title, justify="right")
    for row in rows:
        means = [format_number(summary["mean"]) for summary in row["metrics"].values()]
        table.add_row(row["task"], row["system"], *means)
    console().print(table, highlight=False, markup=False)
    for line in report.skipped():
        typer.echo(f"not done: {printable(line)}")
    typer.echo(f"\n{len(report.clips)} clips, {report.computed} restorations computed; wrote:")
    typer.echo("\n".join(f"  {path}" for path in written))
