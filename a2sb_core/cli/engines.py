"""Where many files are restored: in this process, or on the workers of a cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from a2sb_core.engine.batch import Engine as Run
    from a2sb_core.engine.batch import InTurn


class Engine(StrEnum):
    """What restores many files."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    Engine, typer.Option(help="local: this process; ray: workers of a Ray cluster (a2sb[ray]).")
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", show_default="$RAY_ADDRESS, or this machine",
                             help="ray: of the cluster.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, show_default="as many as there is room for",
                             help="ray: processes that hold the model.")
]
GpusOption = Annotated[
    float | None, typer.Option(min=0, show_default="1 if there are any",
                               help="ray: such as 0.5 where two are to share one.")
]
RetriesOption = Annotated[
    int | None, typer.Option(min=0, show_default="1",
                             help="ray: how often a file that failed is tried again.")
]


def engine_asked(
    engine: Engine, work: InTurn, address: str | None, workers: int | None, gpus: float | None,
    retries: int | None,
) -> Run:
    """Return what runs ``work``.

    Raises:
        typer.BadParameter: options are given that the engine does not know.
    """
    given = {"--address": address, "--workers": workers, "--gpus-per-worker": gpus,
             "--retries": retries}
    if engine is Engine.local:
        for name, value in given.items():
            if value is not None:
                raise typer.BadParameter("only with --engine ray", param_hint=name)
        return work
    from a2sb_core.engine.cluster import OnRay

    if gpus is not None and gpus > 1 and gpus % 1:
        raise typer.BadParameter(f"{gpus:g} is neither a share of one GPU nor a whole number",
                                 param_hint="--gpus-per-worker")
    return OnRay(work, address, workers, gpus, 1 if retries is None else retries)
