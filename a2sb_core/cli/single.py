"""``a2sb restore`` of a single file or a pipe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from a2sb_core.cli.output import print_json, restoring
from a2sb_core.common.text import printable

if TYPE_CHECKING:
    from a2sb_core.batch.pairing import Pair
    from a2sb_core.cli.options import ShownOptions
    from a2sb_core.cli.request import Request
    from a2sb_core.restoration.chain import Chain, ChainDamage
    from a2sb_core.restoration.damage import Damage
    from a2sb_core.restoration.options import WriteOptions


def restore_one(pair: Pair, request: Request, write: WriteOptions, shown: ShownOptions) -> None:
    """Restore a single file or a pipe, and print what was found and done."""
    from a2sb_core.restoration.damage import describe
    from a2sb_core.restoration.listener import Listener, NoteCollector
    from a2sb_core.restoration.output import check_paths

    is_piped, is_told = str(pair.target) == "-", not (shown.quiet or shown.as_json)

    class Printer(Listener):
        def on_damage(self, damage: Damage | None) -> None:
            if is_told:
                typer.echo(describe(damage), err=is_piped)

        def on_progress(self, done: int, of: int) -> None:
            update(done, of)

    check_paths(pair.source, pair.target, write)
    chain = request.chain(request.loader(), pair.source)
    started, collector = time.monotonic(), NoteCollector(Printer())
    with restoring(shown.progress, shown.quiet) as update:
        found = chain.restore_file(pair.source, pair.target, write, listener=collector)
    seconds = time.monotonic() - started
    if is_told:
        written = f"wrote {printable(pair.target)} in {seconds:.1f} s"
        typer.echo(": ".join((written, *collector.notes)), err=is_piped)
    if shown.as_json:
        steps = _steps(request.models, chain, found)
        result = {
            "input": printable(pair.source),
            "output": printable(pair.target),
            **(steps[0] if len(steps) == 1 else {"chain": steps}),
            "restored": found is not None,
            "seconds": round(seconds, 3),
            "notes": collector.notes,
        }
        print_json(result, err=is_piped)


def _steps(models: Sequence[str], chain: Chain, found: ChainDamage | None) -> list[dict[str, Any]]:
    """Return the steps of a chain for JSON."""
    damages = [None] * len(models) if found is None else [damage for _, damage in found.steps]
    return [
        {
            "task": options.task,
            "found": damage.as_dict() if damage else None,
            "restored": damage is not None,
            "model": model,
            "steps": options.steps or restorer.model.steps_for(options.task),
            "seed": options.seed,
        }
        for (restorer, options), model, damage in zip(chain.steps, models, damages, strict=True)
    ]
