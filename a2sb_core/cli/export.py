"""``a2sb export``: the network of a model for programs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.options import OverwriteOption


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Name of a model, a model folder, or a hub id.",
            autocompletion=completion.models,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="ONNX", show_default=False, help="File to write."),
    ],
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize the network to 8 bits: a quarter of the size.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the network and the prediction of a model as an ONNX file, and check its results.

    `a2sb restore --backend onnx` uses the file model.onnx of a model folder, and --backend
    onnx-int8 the file model-int8.onnx.
    """
    from a2sb_core.common.text import format_bytes
    from a2sb_core.models.loading import load_model
    from a2sb_core.models.onnx_export import check_target, export_onnx

    check_target(output, overwrite)
    done = export_onnx(load_model(model), output, int8=int8, overwrite=overwrite)
    typer.echo(
        f"wrote {done.path} ({format_bytes(done.bytes)}); on random inputs it differs from PyTorch "
        f"by at most {done.difference:.1e} of the largest value"
    )
