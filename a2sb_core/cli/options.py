"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from a2sb_core.cli import completing

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a preset.",
                        autocompletion=completing.configurations)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field; repeatable.")
]
ModelOption = Annotated[
    str, typer.Option(help="A name, a model folder, or a hub id.",
                      autocompletion=completing.models)
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", autocompletion=completing.devices)
]
PrecisionOption = Annotated[
    str, typer.Option(help="auto, fp32 or bf16.", autocompletion=completing.precisions)
]
