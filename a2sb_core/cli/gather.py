"""``a2sb gather``: t-range experts into one model folder."""

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
        Path, typer.Option("--output", "-o", metavar="FOLDER", show_default=False,
                           help="The model folder to write.")
    ],
) -> None:
    """Put models that were fine-tuned on ranges of t together into one model."""
    from a2sb_core.engine.checkpoint import save_model
    from a2sb_core.engine.gathering import gather_experts
    from a2sb_core.errors import ModelError

    if output.exists():
        raise ModelError(f"{output} exists already; choose another folder")
    typer.echo(f"wrote {save_model(gather_experts(models), output)}")
