"""``a2sb restore``: one file or many, or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a2sb_core.cli import batch, dry_run, single
from a2sb_core.cli.damage import DamageTexts
from a2sb_core.cli.engines import choose_engine
from a2sb_core.cli.grouping import grouped
from a2sb_core.cli.options import (
    EngineOptions,
    FileOptions,
    ModelOptions,
    OutputOption,
    RequestOptions,
    ShownOptions,
    SourcesArgument,
)
from a2sb_core.cli.output import print_json
from a2sb_core.cli.request import Request, read_request
from a2sb_core.common.text import printable

if TYPE_CHECKING:
    from a2sb_core.batch.local import InTurn, RestoreOne
    from a2sb_core.batch.pairing import Pair
    from a2sb_core.restoration.chain import ChainDamage
    from a2sb_core.restoration.damage import Damage
    from a2sb_core.restoration.listener import Listener
    from a2sb_core.restoration.options import WriteOptions
    from a2sb_core.restoration.restorer import Restorer


@grouped
def restore(
    sources: SourcesArgument,
    output: OutputOption,
    request: RequestOptions,
    damage: DamageTexts,
    chosen: ModelOptions,
    files: FileOptions,
    engine: EngineOptions,
    shown: ShownOptions,
) -> None:
    """Restore files: undo their damage, such as a low-pass or gaps. IN and OUT may be - for a pipe.

    Several files, folders and patterns are restored into the folder OUT with one model; a file that
    fails does not stop the others. Exit codes: 0 all done, 1 error, 2 wrong usage, 3 some files
    failed, 130 interrupted.
    """
    from a2sb_core.restoration.options import WriteOptions

    asked = read_request(request, damage, chosen)
    write = WriteOptions(files.bit_depth, files.clip_mode, files.overwrite, files.resume)
    is_far = engine.engine != "local"
    pairs = _pairs(sources, output, files, is_far)
    run = choose_engine(engine, _work(asked, files, write, is_far))
    if shown.report is not None and (pairs is None or shown.dry_run):
        raise typer.BadParameter("for one file or --dry-run use --json", param_hint="--report")
    if shown.dry_run:
        planned = pairs or [_single(sources[0], Path(output), files)]
        dry_run.report(planned, files.skip_existing, asked, write, shown.as_json)
    elif pairs is None:
        pair = _single(sources[0], Path(output), files)
        if files.skip_existing and pair.exists():
            _skipped(pair, shown)
            return
        single.restore_one(pair, asked, write, shown)
    else:
        if shown.as_json:
            raise typer.BadParameter("for several files use --report", param_hint="--json")
        batch.restore_all(pairs, files, shown, run)


def _skipped(pair: Pair, shown: ShownOptions) -> None:
    """Report that an output exists, so that nothing was done."""
    source, target = printable(pair.source), printable(pair.target)
    if shown.as_json:
        notes = ["the output exists already"]
        print_json({"input": source, "output": target, "restored": False, "notes": notes})
    elif not shown.quiet:
        typer.echo(f"{target} exists already")


def _work(request: Request, files: FileOptions, write: WriteOptions, is_far: bool) -> InTurn:
    """Return the work of one process on many files."""
    from a2sb_core.batch.local import InTurn

    # A worker that takes another's place continues what the other began.
    each, load = replace(write, resume=write.resume or is_far), request.loader()
    skip = files.skip_existing or not files.overwrite
    return InTurn(lambda: _restore_each(request, load(), each), skip)


def _restore_each(
    request: Request, restorers: Sequence[Restorer], write: WriteOptions
) -> RestoreOne:
    """Return the function that restores one of many files."""
    from a2sb_core.restoration.partial_file import partial_path

    def restore_one(pair: Pair, listener: Listener) -> Damage | ChainDamage | None:
        is_begun = write.resume and partial_path(pair.target).exists()
        found = request.chain(lambda: restorers, pair.source).restore_file(
            pair.source, pair.target, replace(write, resume=is_begun), listener=listener
        )
        return found and found.simplified()

    return restore_one


def _pairs(sources: list[Path], output: str, files: FileOptions, is_far: bool) -> list[Pair] | None:
    """Return the pairs of many files, or of outputs elsewhere; None for a single one here."""
    from a2sb_core.batch.pairing import is_many, plan
    from a2sb_core.batch.urls import is_url, plan_at

    is_piped = [str(source) for source in sources] == ["-"]
    if is_far or is_url(output):
        if is_piped or output == "-":
            raise typer.BadParameter("a pipe is restored on this machine, into a pipe or file")
    elif is_piped or not is_many(sources):
        return None
    if is_url(output):
        return list(plan_at(sources, output, files.filename, files.suffix))
    if Path(output).exists() and not Path(output).is_dir():
        raise typer.BadParameter(
            f"{output} is a file; several files need a folder", param_hint="--output"
        )
    return plan(sources, Path(output), files.filename, files.suffix)


def _single(source: Path, output: Path, files: FileOptions) -> Pair:
    from a2sb_core.batch.pairing import Pair, plan

    if output.is_dir():
        return plan([source], output, files.filename, files.suffix)[0]
    return Pair(source, _with_suffix(output, files.suffix))


def _with_suffix(output: Path, suffix: str | None) -> Path:
    """Return the file to write in a format, with its suffix added where there is none."""
    if suffix is None:
        return output
    if str(output) == "-":
        raise typer.BadParameter("a pipe is WAV; leave it out", param_hint="--format")
    if not output.suffix:
        return output.with_name(output.name + suffix)
    if output.suffix.lower() != suffix:
        raise typer.BadParameter(
            f"{output} is named as another format than {suffix[1:]}; name it "
            f"{output.with_suffix(suffix).name}, or leave out --format",
            param_hint="--format",
        )
    return output
