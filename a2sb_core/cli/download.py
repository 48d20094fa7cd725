"""``a2sb download``: downloads a model from the hub, with checksums and licence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.cli import completion
from a2sb_core.cli.models import CacheDirOption
from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import print_json
from a2sb_core.common.text import format_bytes

if TYPE_CHECKING:
    from a2sb_core.models.card import Licence
    from a2sb_core.models.hub import Listing
    from a2sb_core.models.published import ModelSource


def download(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name from `a2sb models`, or id of a model on the hub.",
            autocompletion=completion.models,
        ),
    ],
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            show_default=False,
            help="Branch, tag or commit (default: the main branch).",
        ),
    ] = None,
    cache_dir: CacheDirOption = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Agree to a licence that does not allow every use."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a model, verify its checksums and show its licence.

    HF_HOME sets the cache folder; with HF_HUB_OFFLINE=1 only the cache is used.
    """
    from a2sb_core.models import published
    from a2sb_core.models.locating import local_folder

    folder = local_folder(name)
    source = published.read_source(folder) if folder else None
    if folder is not None and source is None:
        _print_local(name, folder, as_json)
        return
    source = source or published.ModelSource(repo=name)
    _download(name, folder, source, revision, cache_dir, accept_licence, as_json)


def _download(
    name: str,
    folder: Path | None,
    source: ModelSource,
    revision: str | None,
    cache_dir: Path | None,
    accept_licence: bool,
    as_json: bool,
) -> None:
    """Download the files of a model, or fall back to the cached ones without a connection."""
    from a2sb_core.models import hub
    from a2sb_core.models.card import Licence, read_card
    from a2sb_core.models.hub_errors import UnreachableError

    options = hub.HubOptions(revision or source.revision, cache_dir)
    cached = hub.find_cached(source.repo, source.files, options)
    try:
        listing = hub.look_up(source.repo, options.revision)
    except UnreachableError as error:
        if cached is None:
            raise
        typer.echo(f"{error}; the cached copy is complete", err=True)
        _print_found(name, source, cached, None, {}, as_json)
        return
    own = read_card(folder).licence if folder else Licence()
    _agree(name, _stricter(own, listing.licence), listing, source, cached, accept_licence)
    found, checksums = hub.download(listing, source.files, cache_dir, again=True)
    _print_found(name, source, found, listing, checksums, as_json)


def _stricter(own: Licence, stated: Licence) -> Licence:
    """Choose between the licences that the registered card and the hub state."""
    return own if own.id and (stated.is_free or not stated.id) else stated


def _agree(
    name: str,
    licence: Licence,
    listing: Listing,
    source: ModelSource,
    cached: Path | None,
    accepted: bool,
) -> None:
    """Show the licence; ask for agreement if it is not free and nothing is downloaded yet."""
    from a2sb_core.models.hub import HubOptions, require_agreement

    chosen = listing.choose(source.files)
    size = format_bytes(sum(file.bytes for file in chosen))
    typer.echo(
        f"{listing.repo} at {listing.revision} ({listing.commit[:8]}): {len(chosen)} files, {size}",
        err=True,
    )
    link = f", {licence.link}" if licence.link else ""
    typer.echo(f"licence: {licence}{link}", err=True)
    if licence.is_free or cached is not None:
        return
    if not accepted and sys.stdin.isatty():
        accepted = typer.confirm(
            "This licence does not allow every use. Do you agree to it?", err=True
        )
    require_agreement(name, licence, HubOptions(accept_licence=accepted))


def _print_local(name: str, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "folder": folder, "files": []})
    else:
        typer.echo(f"{name} needs no download: {folder}")


def _print_found(
    name: str,
    source: ModelSource,
    folder: Path,
    listing: Listing | None,
    checksums: Mapping[str, str],
    as_json: bool,
) -> None:
    """Print the folder, and the SHA-256 of the verified files."""
    if as_json:
        print_json(
            {
                "name": name,
                "repo": source.repo,
                "commit": folder.name,
                "folder": folder,
                "licence": vars(listing.licence) if listing else None,
                "files": [
                    {
                        "path": path,
                        "bytes": (folder / path).stat().st_size,
                        "sha256": checksum,
                        "verified": True,
                    }
                    for path, checksum in checksums.items()
                ],
            }
        )
        return
    for path, checksum in checksums.items():
        size = format_bytes((folder / path).stat().st_size)
        typer.echo(f"sha256 {checksum}  {path} ({size}, verified)")
    model = name if listing is None or listing.revision in ("main", source.revision) else folder
    typer.echo(f"in {folder}\nuse it with --model {model}")
