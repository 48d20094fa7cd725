"""``a2sb config``: show, check and describe configurations."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.options import JsonOption, SetOption
from a2sb_core.cli.output import print_json

if TYPE_CHECKING:
    from a2sb_core.config.tree import Node
    from a2sb_core.plugins.component_config import FrozenConfig

app = typer.Typer(no_args_is_help=True, help="Show, check and describe configurations.")


class ConfigType(StrEnum):
    """Type of a configuration."""

    train = "train"
    model = "model"
    chain = "chain"


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, a model folder, or the name of a preset or model.",
        autocompletion=completion.configurations,
    ),
]
Kind = Annotated[
    ConfigType | None,
    typer.Option("--type", show_default="by the fields of CONFIG", help="Type of CONFIG."),
]


@app.callback()
def _config() -> None:
    """Show, check and describe configurations."""


@app.command()
def show(
    source: SourceArgument,
    overrides: SetOption = None,
    kind: Kind = None,
    origins: Annotated[
        bool,
        typer.Option(
            "--origins",
            help="Print one line for each value, with its origin: file and line, preset, --set or "
            "default.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a configuration with every default filled in, as YAML."""
    from a2sb_core.config import loading as load

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
def validate(source: SourceArgument, overrides: SetOption = None, kind: Kind = None) -> None:
    """Check a configuration, and list its errors."""
    _resolve(source, overrides, kind)
    typer.echo(f"{source}: valid")


@app.command()
def schema(
    kind: Annotated[
        ConfigType, typer.Option("--type", help="Type of the configurations.")
    ] = ConfigType.train,
) -> None:
    """Print the JSON Schema of configurations, for editors."""
    from a2sb_core.config.schema import json_schema

    print_json(json_schema(_class(kind)))


def _resolve(
    source: str, overrides: list[str] | None, kind: ConfigType | None
) -> tuple[FrozenConfig, Node]:
    """Return a configuration, and the tree from which it was validated."""
    from a2sb_core.config import loading as load

    tree = load.load_tree(source, overrides or [])
    if kind is None:
        keys = {"chain": ConfigType.chain, "model": ConfigType.train}
        kind = next((keys[key] for key in keys if key in tree.value), ConfigType.model)
    return load.validate(_class(kind), tree, source), tree


def _class(kind: ConfigType) -> type[FrozenConfig]:
    from a2sb_core.config.chain import ChainConfig
    from a2sb_core.config.model import ModelConfig
    from a2sb_core.config.training import TrainConfig

    if kind is ConfigType.chain:
        return ChainConfig
    return TrainConfig if kind is ConfigType.train else ModelConfig
