"""``a2sb restore --dry-run``: the damage, and the time and memory that a restoration would take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from a2sb_core.cli.exit_codes import ERROR, SOME_FAILED
from a2sb_core.cli.output import print_json
from a2sb_core.common.text import format_bytes, format_seconds, printable
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.batch.pairing import Pair
    from a2sb_core.cli.request import Request
    from a2sb_core.restoration.forecast import Forecast
    from a2sb_core.restoration.options import WriteOptions


def report(
    pairs: list[Pair], skip_existing: bool, asked: Request, write: WriteOptions, as_json: bool
) -> None:
    """Print what would be done with each pair; nothing is written.

    Raises:
        typer.BadParameter: a pipe cannot be inspected before it is restored.
        typer.Exit: code 3 if some would fail, 1 if the only one would.
    """
    if any("-" in (str(pair.source), str(pair.target)) for pair in pairs):
        raise typer.BadParameter(
            "a pipe cannot be inspected before it is restored", param_hint="--dry-run"
        )
    forecast: Callable[[Pair], Forecast] | None = None
    entries: list[dict[str, Any]] = []
    for pair in pairs:
        if skip_existing and pair.exists():
            entries.append(_entry(pair, "skipped"))
        else:
            forecast = forecast or _forecaster(asked, write)
            entries.append(_forecast(pair, forecast))
        if not as_json:
            typer.echo(_line(entries[-1]))
    failed = sum(one["status"] == "failed" for one in entries)
    if as_json:
        print_json({"files": entries})
    elif len(pairs) > 1:
        seconds = sum(one["seconds"] or 0 for one in entries)
        memory = max(one["bytes"] or 0 for one in entries)
        typer.echo(f"{len(entries)} files: {_cost(seconds, memory)}; {failed} would fail")
    if failed:
        raise typer.Exit(SOME_FAILED if len(pairs) > 1 else ERROR)


def _forecaster(asked: Request, write: WriteOptions) -> Callable[[Pair], Forecast]:
    """Return the function that forecasts the restoration of a recording."""
    from a2sb_core.restoration.forecast import ChainForecaster

    restorers = asked.loader()()
    forecaster = ChainForecaster(restorers)

    def forecast(pair: Pair) -> Forecast:
        chain = asked.chain(lambda: restorers, pair.source)
        return forecaster.forecast(chain, pair.source, pair.target, write)

    return forecast


def _forecast(pair: Pair, forecast: Callable[[Pair], Forecast]) -> dict[str, Any]:
    try:
        found = forecast(pair)
    except (A2SBError, OSError) as error:
        return _entry(pair, "failed", error=printable(str(error)))
    if found.damage is None:
        return _entry(pair, "nothing", seconds=0.0, bytes=0)
    return _entry(
        pair,
        "restored",
        found=found.damage.as_dict(),
        description=found.damage.describe(),
        seconds=round(found.seconds, 1),
        bytes=found.bytes,
    )


def _entry(pair: Pair, status: str, **more: Any) -> dict[str, Any]:
    known = {"found": None, "description": None, "seconds": None, "bytes": None, "error": None}
    return {
        "input": printable(pair.source),
        "output": printable(pair.output),
        "status": status,
        "output_exists": pair.exists(),
        **known,
        **more,
    }


def _line(one: dict[str, Any]) -> str:
    if one["status"] == "failed":
        error = one["error"]
        return f"would fail: {error if one['input'] in error else one['input'] + ': ' + error}"
    if one["status"] == "skipped":
        return f"{one['output']} exists already"
    exists = ", which exists" if one["output_exists"] else ""
    paths = f"{one['input']} to {one['output']}{exists}"
    if one["found"] is None:
        return f"{paths}: nothing to restore, would be copied"
    return f"{paths}: {one['description']}; {_cost(one['seconds'], one['bytes'])}"


def _cost(seconds: float, count: int) -> str:
    return f"about {format_seconds(max(1, seconds))}, {format_bytes(count)} of memory"
