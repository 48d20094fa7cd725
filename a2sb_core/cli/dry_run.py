"""``a2sb restore --dry-run``: what would be done, and what it would take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from a2sb_core.cli.batch import SOME_FAILED, shown
from a2sb_core.cli.damage import sentence
from a2sb_core.cli.output import print_json
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.engine.batch import Pair
    from a2sb_core.engine.forecast import Forecast

Look = Callable[[Path], "Forecast"]


def tell(pairs: list[Pair], skip_existing: bool, load: Callable[[], Look], as_json: bool) -> None:
    """Print what would become of each pair; nothing is written.

    Raises:
        typer.Exit: code 3 if some would fail, 1 if the only one would.
    """
    look: Look | None = None
    told: list[dict[str, Any]] = []
    for pair in pairs:
        if pair.exists() and skip_existing:
            told.append(_entry(pair, "skipped"))
        else:
            look = look or load()
            told.append(_looked(pair, look))
        if not as_json:
            typer.echo(_line(told[-1]))
    failed = sum(one["status"] == "failed" for one in told)
    if as_json:
        print_json({"files": told})
    elif len(pairs) > 1:
        seconds, most = (f([one[name] or 0 for one in told]) for f, name in
                         ((sum, "seconds"), (max, "bytes")))
        typer.echo(f"{len(told)} files: {_took(seconds, most)}; {failed} would fail")
    if failed:
        raise typer.Exit(SOME_FAILED if len(pairs) > 1 else 1)


def _looked(pair: Pair, look: Look) -> dict[str, Any]:
    try:
        found = look(pair.source)
    except (A2SBError, OSError) as error:
        return _entry(pair, "failed", error=str(error))
    if found.damage is None:
        return _entry(pair, "nothing", seconds=0.0, bytes=0)
    return _entry(pair, "restored", found=found.damage.model_dump(mode="json"),
                  seconds=round(found.seconds, 1), bytes=found.bytes)


def _entry(pair: Pair, status: str, **more: Any) -> dict[str, Any]:
    known = {"found": None, "seconds": None, "bytes": None, "error": None}
    return {"input": shown(pair.source), "output": shown(pair.output), "status": status,
            "output_exists": pair.exists(), **known, **more}


def _line(one: dict[str, Any]) -> str:
    if one["status"] == "failed":
        error = one["error"]
        return f"would fail: {error if one['input'] in error else one['input'] + ': ' + error}"
    if one["status"] == "skipped":
        return f"{one['output']} is there already"
    there = ", which is there" if one["output_exists"] else ""
    damage = sentence(one["found"])
    took = "" if one["found"] is None else f"; {_took(one['seconds'], one['bytes'])}"
    return f"{one['input']} to {one['output']}{there}: {damage}{took}"


def _took(seconds: float, count: int) -> str:
    if seconds < 120:
        time = f"{max(1, round(seconds))} s"
    else:
        time = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    return f"about {time}, {json.dumps(round(count / 1e6))} MB of memory"
