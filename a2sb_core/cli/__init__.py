"""The command line, ``a2sb``: one module a command; heavy imports happen inside the commands."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from a2sb_core.cli import (
    ablate,
    analyze,
    config,
    convert,
    demo,
    doctor,
    download,
    evaluate,
    gather,
    models,
    plugins,
    push,
    restore,
    train,
    web,
)
from a2sb_core.errors import A2SBError


class Commands(TyperGroup):
    """Turns what a command raises into one paragraph and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command: 1 for errors, 130 for an interruption; usage errors (2) are typer's."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _failed("; ".join(("interrupted", *_notes(error))), 130) from None
        except A2SBError as error:
            if _debugging():
                raise
            raise _failed("; ".join((f"error: {error}", *_notes(error))), 1) from error
        except Exception as error:
            # Typer's own exceptions, and a closed pipe, are told by typer.
            told = isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code")
            if told or _debugging():
                raise
            text = " ".join(str(error).split())
            raise _failed(
                f"unexpected error: {type(error).__name__}: {text}\n"
                "Run the command again with A2SB_DEBUG=1 in the environment to see where.", 1
            ) from error


def _failed(text: str, code: int) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(code)


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _debugging() -> bool:
    return os.environ.get("A2SB_DEBUG", "") not in ("", "0")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"a2sb {version('a2sb')}")
        except PackageNotFoundError:
            typer.echo("a2sb, from a source tree that is not installed")
        raise typer.Exit


app = typer.Typer(
    cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _a2sb(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True,
                           help="Show the version and exit."),
    ] = False,
) -> None:
    """Restore music: extend its bandwidth, fill its gaps."""


app.command()(restore.restore)
app.command()(analyze.analyze)
app.command()(web.web)
app.command()(demo.demo)
app.command()(evaluate.evaluate)
app.command()(ablate.ablate)
app.command()(train.train)
app.command()(gather.gather)
app.command()(convert.convert)
app.command()(models.models)
app.command()(download.download)
app.command()(push.push)
app.command()(doctor.doctor)
app.add_typer(plugins.app, name="plugins")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what it can not show
            stream.reconfigure(errors="backslashreplace")
    app()
