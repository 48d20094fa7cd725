"""``a2sb config``: look at configurations."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli.options import ConfigArgument, SetOption
from a2sb_core.cli.output import print_json

if TYPE_CHECKING:
    from a2sb_core.config.component import FrozenConfig
    from a2sb_core.config.tree import Node

app = typer.Typer(no_args_is_help=True, help="Show, check and describe configurations.")


class ConfigType(StrEnum):
    """What a configuration describes."""

    train = "train"
    model = "model"


Kind = Annotated[
    ConfigType | None,
    typer.Option("--type", show_default="train where CONFIG has the field `model`",
                 help="What CONFIG describes."),
]


@app.callback()
def _config() -> None:
    """Show, check and describe configurations."""


@app.command()
def show(
    source: ConfigArgument, overrides: SetOption = None, kind: Kind = None,
    origins: Annotated[
        bool, typer.Option("--origins", help="One line a value, with where it came from: file and "
                           "line, preset, --set or default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a configuration with every default filled in, as YAML."""
    from a2sb_core.config import load

    config, tree = _resolve(source, overrides, kind)
    if not origins:
        print_json(load.dump(config)) if as_json else typer.echo(load.to_yaml(config), nl=False)
        return
    traced = load.trace(config, tree)
    if as_json:
        print_json({line.path: line._asdict() for line in traced})
        return
    texts = [f"{line.path}: {line.value}" for line in traced]
    width = min(60, max(map(len, texts)))
    for text, line in zip(texts, traced, strict=True):
        typer.echo(f"{text:<{width}}  # {line.origin}")


@app.command()
def validate(
    source: ConfigArgument, overrides: SetOption = None, kind: Kind = None
) -> None:
    """Say whether a configuration is valid, and what is wrong with it."""
    _resolve(source, overrides, kind)
    typer.echo(f"{source}: valid")


@app.command()
def schema(
    kind: Annotated[
        ConfigType, typer.Option("--type", help="What the schema describes.")
    ] = ConfigType.train,
) -> None:
    """Print the JSON Schema of configurations, for editors."""
    from a2sb_core.config.load import json_schema

    print_json(json_schema(_class(kind)))


def _resolve(
    source: str, overrides: list[str] | None, kind: ConfigType | None
) -> tuple[FrozenConfig, Node]:
    """Return a configuration, and the tree it was made of."""
    from a2sb_core.config import load

    tree = load.load_tree(source, overrides or [])
    kind = kind or (ConfigType.train if "model" in tree.value else ConfigType.model)
    return load.validate(_class(kind), tree, source), tree


def _class(kind: ConfigType) -> type[FrozenConfig]:
    from a2sb_core.config.run import ModelConfig, TrainConfig

    return TrainConfig if kind is ConfigType.train else ModelConfig
