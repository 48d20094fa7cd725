"""``a2sb gather``: combines models for ranges of t into one model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def gather(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Model folders of training runs, in any order."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False, help="Model folder to write."
        ),
    ],
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Backbone that combines the networks, with its settings, such as "
            "'experts(offload=true)' (default: the only one that can).",
        ),
    ] = None,
) -> None:
    """Combine models that were fine-tuned on ranges of t into one model."""
    from a2sb_core.errors import ModelError
    from a2sb_core.models.folder import save_model
    from a2sb_core.models.merging import merge_models

    if output.exists():
        raise ModelError(f"{output} exists already; choose another folder")
    typer.echo(f"wrote {save_model(merge_models(models, into), output)}")
