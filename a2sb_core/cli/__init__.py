"""The command line `a2sb`, one module per command.

Heavy imports happen inside the commands, so that `a2sb --help` stays fast.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import sys
from typing import Annotated, Any, ClassVar

import typer

from a2sb_core.cli.exit_codes import ERROR, INTERRUPTED
from a2sb_core.cli.lazy import LazyGroup
from a2sb_core.common.text import printable_text
from a2sb_core.errors import A2SBError


class Commands(LazyGroup):
    """Converts an exception of a command to one paragraph and an exit code."""

    summaries: ClassVar = {
        "restore": "Restore a file, many files, or a pipe.",
        "analyze": "Report the format, the level and the damage of a recording.",
        "web": "Open the page in the browser.",
        "serve": "Serve other programs over HTTP.",
        "demo": "Damage the shipped clip and restore it.",
        "evaluate": "Compare restoration systems on damaged clips.",
        "listen": "Make listening tests, collect their ratings, report them.",
        "ablate": "Train and evaluate every combination of settings.",
        "data": "Make manifests of public data sets for training.",
        "train": "Train a model, or resume a run.",
        "gather": "Merge models that are fine-tuned on ranges of t.",
        "convert": "Convert published checkpoints to a model folder.",
        "export": "Export the network of a model to ONNX.",
        "models": "List the models with their size and licence.",
        "download": "Download a model.",
        "push": "Upload a model to the Hugging Face hub.",
        "doctor": "Check the installation and the machine.",
        "plugins": "List, check and create plugins.",
        "config": "Show, check and describe configurations.",
    }

    def invoke(self, ctx: Any) -> Any:
        """Run a command; exit with 1 after an error and 130 after an interruption.

        Typer exits with 2 after a usage error.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _failed("; ".join(("interrupted", *_notes(error))), INTERRUPTED) from None
        except A2SBError as error:
            if _debugging():
                raise
            raise _failed("; ".join((f"error: {error}", *_notes(error))), ERROR) from error
        except Exception as error:
            # Typer reports its own exceptions and a closed pipe.
            by_typer = isinstance(error, typer.Abort | BrokenPipeError)
            if by_typer or hasattr(error, "exit_code") or _debugging():
                raise
            text = " ".join(str(error).split())
            raise _failed(
                f"unexpected error: {type(error).__name__}: {text}\n"
                "Run the command again with A2SB_DEBUG=1 in the environment for a traceback.",
                ERROR,
            ) from error


def _failed(text: str, code: int) -> typer.Exit:
    typer.echo(printable_text(text), err=True)  # names of files may control a terminal
    return typer.Exit(code)


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _debugging() -> bool:
    return os.environ.get("A2SB_DEBUG", "") not in ("", "0")


def _show_version(wanted: bool) -> None:
    if wanted:
        from a2sb_core.common.packages import version_or_unknown

        typer.echo(f"a2sb {version_or_unknown()}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _a2sb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Restore music: extend its bandwidth, fill its gaps."""


def main() -> None:
    """Run the command line; SIGTERM interrupts it as Ctrl-C does, so that files are removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may contain undecodable bytes
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(AttributeError, ValueError, OSError):  # stderr may be closed
        faulthandler.enable()  # a crash in the code of a plugin names its file
    app()
