"""``a2sb convert``: published checkpoints into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="CKPT...",
            help="One checkpoint, or one for each range of t; their order is that of the ranges in "
            "their names, or else the given one, lowest first.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False, help="Model folder to write."
        ),
    ],
    converter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Converter for these checkpoints (default: the only one that is installed).",
        ),
    ] = None,
) -> None:
    """Turn published A2SB checkpoints into a model folder."""
    from a2sb_core.errors import ModelError
    from a2sb_core.plugins import default_registry

    registry = default_registry()
    names = [converter] if converter else registry.names("converter")
    if len(names) != 1:
        raise ModelError(f"choose one with --converter: {', '.join(names) or 'none is installed'}")
    chosen = registry.resolve("converter", names[0]).Config().build()
    typer.echo(chosen.notice, err=True)

    from a2sb_core.models.conversion import convert as convert_checkpoints

    typer.echo(f"wrote {convert_checkpoints(chosen, checkpoints, output)}")
