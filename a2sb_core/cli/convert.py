"""``a2sb convert``: published checkpoints into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONVERTER = "a2sb_release"


def convert(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(metavar="CKPT...", help="One checkpoint, or one a range of t, in order.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", show_default=False,
                           help="The model folder to write.")
    ],
) -> None:
    """Turn published A2SB checkpoints into a model folder."""
    from a2sb_core.plugins import default_registry

    converter = default_registry().resolve("converter", CONVERTER).Config().build()
    typer.echo(converter.notice, err=True)

    from a2sb_core.engine.conversion import convert as convert_checkpoints

    typer.echo(f"wrote {convert_checkpoints(converter, checkpoints, output)}")
