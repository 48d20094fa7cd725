"""``a2sb listen``: makes listening tests, collects their ratings and reports them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.options import JsonOption, OverwriteOption, QuietOption
from a2sb_core.cli.output import print_json
from a2sb_core.common.text import printable_text

if TYPE_CHECKING:
    from a2sb_core.listening.design import ListeningTest
    from a2sb_core.listening.reports import ListeningReport

app = typer.Typer(
    no_args_is_help=True, help="Make listening tests, collect their ratings, report them."
)


class TestKind(StrEnum):
    """Kind of a listening test."""

    rating = "rating"
    mushra = "mushra"
    abx = "abx"


class TestFormat(StrEnum):
    """Form in which a test is written."""

    page = "page"
    webmushra = "webmushra"


TestArgument = Annotated[
    Path, typer.Argument(metavar="TEST", help="The folder that `a2sb listen make` wrote.")
]


@app.callback()
def _listen() -> None:
    """Make listening tests from the audio of an evaluation, collect their ratings, report them."""


@dataclass(frozen=True)
class ContentOptions:
    """Stimuli of a test, and the method."""

    kind: Annotated[
        TestKind,
        typer.Option(
            help="rating: closeness to the reference from 1 to 5; mushra: 0 to 100 with hidden "
            "reference and anchor; abx: which one is X."
        ),
    ] = TestKind.rating
    format: Annotated[
        TestFormat, typer.Option(help="page: a page of its own; webmushra: files for webMUSHRA.")
    ] = TestFormat.page
    tasks: Annotated[
        list[str] | None,
        typer.Option(metavar="LIST", show_default="all", help="Tasks of the evaluation."),
    ] = None
    systems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST", show_default="all", help="Systems of the evaluation, by their labels."
        ),
    ] = None
    against: Annotated[
        str,
        typer.Option(
            metavar="SYSTEM",
            help="abx: system that the others are compared with; reference is the clean clip.",
        ),
    ] = "reference"
    limit: Annotated[
        int | None, typer.Option(min=1, show_default="all", help="Largest number of clips.")
    ] = None
    seconds: Annotated[
        float, typer.Option(min=0.5, help="Longest stimulus in seconds, the middle of a clip.")
    ] = 10.0
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of times that each trial is presented.")
    ] = 1
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Listening test"
    seed: Annotated[int, typer.Option(help="Random seed of the orders of the participants.")] = 0


@app.command()
@grouped
def make(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="The folder of an `a2sb evaluate` with --keep-audio."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="TEST",
            show_default=False,
            help="Folder for the test, which must not exist.",
        ),
    ],
    content: ContentOptions,
    as_json: JsonOption = False,
) -> None:
    """Make a listening test from the audio of an evaluation.

    Writes TEST/page, which participants open, and TEST/key.json, which names the systems behind the
    stimuli and stays with you.
    """
    from a2sb_core.common.files import atomic_folder
    from a2sb_core.config.evaluation import split_list
    from a2sb_core.listening.making import TestPlan
    from a2sb_core.listening.page import write_page
    from a2sb_core.listening.source import read_kept_audio
    from a2sb_core.listening.webmushra import write_webmushra

    chosen = read_kept_audio(results).choose(
        split_list(content.tasks or ()), split_list(content.systems or ()), content.limit
    )
    plan = TestPlan(
        content.kind.value,
        content.title,
        content.seed,
        content.seconds,
        content.repeats,
        content.against,
    )
    write = write_webmushra if content.format is TestFormat.webmushra else write_page
    with atomic_folder(output) as folder:
        test = write(chosen, plan, folder)
    if as_json:
        print_json({"test": test.id, "kind": test.kind, "trials": len(test.trials)})
    else:
        _print_made(test, output, content.format)


def _print_made(test: ListeningTest, folder: Path, form: TestFormat) -> None:
    typer.echo(
        f"{test.kind}: {len(test.trials)} trials with {len(test.stimuli)} sounds in {folder}"
    )
    if form is TestFormat.page:
        typer.echo(f"Participants open {folder / 'page' / 'index.html'}.")
        typer.echo(f"To collect their ratings on this machine: a2sb listen serve {folder}")
    else:
        typer.echo(f"Copy the content of {folder / 'configs'} into `configs` of webMUSHRA.")
    typer.echo(f"Keep {folder / 'key.json'} to yourself: it names the systems.")


@app.command()
def serve(
    test: TestArgument,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 127.0.0.1: this machine only, 0.0.0.0: all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0: a free one.")
    ] = 8000,
) -> None:
    """Serve the page of a test, and append the ratings to TEST/ratings.csv."""
    from a2sb_core.listening import server as listening

    with listening.serve(test, host, port) as server:
        typer.echo(f"the test is at http://{host}:{server.server_port}/ (Ctrl-C ends it)")
        if host not in ("127.0.0.1", "localhost", "::1"):
            typer.echo("everyone who reaches this machine can take part", err=True)
        server.serve_forever()


@dataclass(frozen=True)
class ReportOptions:
    """Metrics that ratings are compared with, rules of the screening, and output."""

    results: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS",
            show_default="the values when the test was made",
            help="Evaluation whose metrics are correlated with the ratings.",
        ),
    ] = None
    fit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="those without options",
            help="Metrics of the linear fit, by their labels.",
        ),
    ] = None
    screening: Annotated[
        bool, typer.Option("--screening/--no-screening", help="Exclude unreliable participants.")
    ] = True
    max_mistakes: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Largest share of trials in which a participant rates the hidden reference below "
            "4 (rating) or 90 (mushra).",
        ),
    ] = 0.15
    min_correlation: Annotated[
        float,
        typer.Option(
            min=-1, max=1, help="Smallest correlation with the mean ratings of the others."
        ),
    ] = 0.25
    overwrite: OverwriteOption = False
    as_json: JsonOption = False
    quiet: QuietOption = False


@app.command()
@grouped
def report(
    test: TestArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False, help="Folder for the report."
        ),
    ],
    options: ReportOptions,
    ratings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RATINGS...]",
            show_default="TEST/ratings.csv",
            help="Exports of participants (CSV or JSON), or results of webMUSHRA.",
        ),
    ] = None,
) -> None:
    """Report mean opinion scores, correlations with metrics, or ABX answers.

    Writes report.md, summary.json, tables in CSV and picture.png.
    """
    from a2sb_core.common.files import atomic_folder
    from a2sb_core.listening import reports
    from a2sb_core.plotting.listening import draw_listening

    found = _evaluate(test, ratings, options)
    with atomic_folder(output, options.overwrite) as folder:
        written = reports.write_listening_report(found, folder)
        written.append(draw_listening(found, folder / "picture.png"))
    if options.as_json:
        print_json(reports.as_json(found))
    elif not options.quiet:
        typer.echo(printable_text(reports.as_markdown(found)))
        typer.echo("\n".join(f"wrote {output / path.name}" for path in written))


def _evaluate(test: Path, paths: list[Path] | None, options: ReportOptions) -> ListeningReport:
    """Return the results of a test for its ratings in files."""
    from a2sb_core.config.evaluation import split_list
    from a2sb_core.listening.design import RATINGS, read_test
    from a2sb_core.listening.ratings import read_ratings
    from a2sb_core.listening.reports import evaluate_ratings
    from a2sb_core.listening.screening import ScreeningRules
    from a2sb_core.listening.source import read_metrics

    design = read_test(test)
    rules = ScreeningRules(options.max_mistakes, options.min_correlation)
    return evaluate_ratings(
        design,
        read_ratings(design, paths or [test / RATINGS]),
        rules if options.screening else None,
        None if options.results is None else read_metrics(options.results),
        None if options.fit is None else split_list(options.fit),
    )
