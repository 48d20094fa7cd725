"""``a2sb download``: a model of the hub into its cache, with checksums and licence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completing
from a2sb_core.cli.models import format_bytes
from a2sb_core.cli.output import print_json

if TYPE_CHECKING:
    from a2sb_core.engine.cards import Licence
    from a2sb_core.engine.hub import Listing
    from a2sb_core.engine.published import ModelSource


def download(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of `a2sb models`, or an id of the hub.",
                            autocompletion=completing.models)
    ],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit.", show_default=False)
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="In place of the hub's cache folder.", show_default=False)
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to a licence that is not free.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Download a model, verify its checksums and show its licence.

    Where it goes is told by HF_HOME; HF_HUB_OFFLINE=1 only looks at what is there.
    """
    from a2sb_core.engine import hub, published
    from a2sb_core.engine.cards import Licence, read_card
    from a2sb_core.engine.finding import local_folder

    folder = local_folder(name)
    source = published.read_source(folder) if folder else None
    if folder is not None and source is None:
        _tell_local(name, folder, as_json)
        return
    source = source or published.ModelSource(repo=name)
    options = hub.HubOptions(revision or source.revision, cache_dir)
    cached = hub.find_cached(source.repo, source.files, options)
    try:
        listing = hub.look_up(source.repo, options.revision)
    except hub.UnreachableError as error:
        if cached is None:
            raise
        typer.echo(f"{error}; what is in the cache is complete", err=True)
        _tell(name, source, cached, None, {}, as_json)
        return
    own = read_card(folder).licence if folder else Licence()
    _agree(name, _stricter(own, listing.licence), listing, source, cached, accept_licence)
    found, checksums = hub.download(listing, source.files, cache_dir, again=True)
    _tell(name, source, found, listing, checksums, as_json)


def _stricter(own: Licence, stated: Licence) -> Licence:
    """Choose between what the registered card and what the hub says of the licence."""
    return own if own.id and (stated.is_free or not stated.id) else stated


def _agree(
    name: str, licence: Licence, listing: Listing, source: ModelSource, cached: Path | None,
    accepted: bool,
) -> None:
    """Show the licence; ask for agreement where it is not free and nothing is here yet."""
    from a2sb_core.engine.hub import HubOptions, require_agreement

    chosen = listing.choose(source.files)
    size = format_bytes(sum(file.bytes for file in chosen))
    typer.echo(f"{listing.repo} at {listing.revision} ({listing.commit[:8]}): "
               f"{len(chosen)} files, {size}", err=True)
    link = f", {licence.link}" if licence.link else ""
    typer.echo(f"licence: {licence}{link}", err=True)
    if licence.is_free or cached is not None:
        return
    if not accepted and sys.stdin.isatty():
        accepted = typer.confirm("This licence does not allow every use. Do you agree to it?",
                                 err=True)
    require_agreement(name, licence, HubOptions(accept_licence=accepted))


def _tell_local(name: str, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "folder": folder, "files": []})
    else:
        typer.echo(f"{name} needs no download: {folder}")


def _tell(
    name: str, source: ModelSource, folder: Path, listing: Listing | None,
    checksums: Mapping[str, str], as_json: bool,
) -> None:
    """Tell where it is, and what its files' SHA-256 are."""
    if as_json:
        print_json({
            "name": name, "repo": source.repo, "commit": folder.name, "folder": folder,
            "licence": vars(listing.licence) if listing else None,
            "files": [
                {"path": path, "bytes": (folder / path).stat().st_size, "sha256": checksum,
                 "verified": True} for path, checksum in checksums.items()
            ],
        })
        return
    for path, checksum in checksums.items():
        size = format_bytes((folder / path).stat().st_size)
        typer.echo(f"sha256 {checksum}  {path} ({size}, verified)")
    model = name if listing is None or listing.revision in ("main", source.revision) else folder
    typer.echo(f"in {folder}\nuse it with --model {model}")
