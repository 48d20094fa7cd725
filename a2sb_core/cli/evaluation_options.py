"""Options that the commands of evaluations and ablations share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.options import DeviceOption, PrecisionOption, QuietOption


@dataclass(frozen=True)
class EvaluationOptions:
    """Clips, protocols and metrics of an evaluation, and its device."""

    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="typical ones of each built-in family",
            help="Protocols, FAMILY-ARGUMENT (families: a2sb plugins list --kind protocol) or "
            "names in the file of --protocols.",
            autocompletion=completion.protocols,
        ),
    ] = None
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="typical ones that can run here",
            help="Metrics, NAME or NAME(OPTION=VALUE) (names: a2sb plugins list --kind metric).",
            autocompletion=completion.metrics,
        ),
    ] = None
    protocols: Annotated[
        Path | None, typer.Option(metavar="YAML", help="File that describes further protocols.")
    ] = None
    split: Annotated[str, typer.Option(help="Split of a manifest to evaluate.")] = "validation"
    limit: Annotated[
        int | None, typer.Option(min=1, show_default="all", help="Largest number of clips.")
    ] = None
    seed: Annotated[int, typer.Option(help="Random seed of damage, sampling and intervals.")] = 0
    device: DeviceOption = "auto"
    precision: PrecisionOption = "auto"
    jobs: Annotated[int, typer.Option(min=1, help="Number of worker processes.")] = 1
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw spectrograms, magnitudes and model diagnostics.")
    ] = False
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard the results in FOLDER; compute all again.")
    ] = False
    quiet: QuietOption = False

    def fields(self, **more: Any) -> dict[str, Any]:
        """Return the fields of an :class:`EvaluateConfig`; lists that are empty are left out."""
        from a2sb_core.config.evaluation import split_list

        own = ("protocols", "split", "limit", "seed", "device", "precision", "jobs", "fresh")
        lists = {"tasks": self.tasks, "metrics": self.metrics}
        given = {name: split_list(texts) for name, texts in lists.items() if texts}
        return {name: getattr(self, name) for name in own} | given | more
