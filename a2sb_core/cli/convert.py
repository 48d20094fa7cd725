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

    from a2sb_core.config.load import validate
    from a2sb_core.config.run import ModelConfig
    from a2sb_core.engine.checkpoint import save_model
    from a2sb_core.engine.model import Model
    from a2sb_core.errors import ModelError

    if output.exists():
        raise ModelError(f"{output} exists already; choose another folder")
    converted = converter.convert(checkpoints)
    model = Model(validate(ModelConfig, converted.model, ", ".join(map(str, checkpoints))))
    model.backbone = converted.backbone
    typer.echo(f"wrote {save_model(model, output)}")
