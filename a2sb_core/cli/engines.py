"""The engine of many files: this process, or the workers of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from a2sb_core.batch.local import Engine, InTurn
    from a2sb_core.cli.options import EngineOptions


def choose_engine(chosen: EngineOptions, work: InTurn) -> Engine:
    """Return the engine that runs ``work``.

    Raises:
        typer.BadParameter: options are given that the engine does not know.
    """
    given = {
        "--address": chosen.address,
        "--workers": chosen.workers,
        "--gpus-per-worker": chosen.gpus_per_worker,
        "--retries": chosen.retries,
    }
    if chosen.engine == "local":
        for name, value in given.items():
            if value is not None:
                raise typer.BadParameter("only with --engine ray", param_hint=name)
        return work
    from a2sb_core.batch.ray_cluster import OnRay

    gpus, retries = chosen.gpus_per_worker, chosen.retries
    if gpus is not None and gpus > 1 and gpus % 1:
        raise typer.BadParameter(
            f"{gpus:g} is neither a share of one GPU nor a whole number",
            param_hint="--gpus-per-worker",
        )
    return OnRay(work, chosen.address, chosen.workers, gpus, 1 if retries is None else retries)
