"""``a2sb push``: a model folder onto the hub, with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a2sb_core.cli.models import format_bytes
from a2sb_core.cli.output import print_json


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Where to; made if absent.")],
    licence: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False,
                                 help="The hub's name of a licence, such as apache-2.0, where the "
                                 "folder's card states none.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(metavar="FOLDER", show_default=False,
                                  help="Of `a2sb evaluate -o`: its figures go onto the card.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Only its owner sees it.")] = False,
    revision: Annotated[
        str | None, typer.Option(help="A branch; made if absent.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files and the card; send nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Upload a model in one commit, with its card, licence and figures.

    The account is that of `hf auth login`, or of HF_TOKEN.
    """
    from a2sb_core.engine import publishing

    upload = publishing.prepare(folder, repo, licence, evaluation)
    url = None if dry_run else publishing.push(upload, private=private, revision=revision)
    if as_json:
        print_json({
            "repo": repo, "url": url, "licence": upload.licence.id, "card": upload.card,
            "files": [{"path": one.path, "bytes": one.bytes, "sha256": one.sha256}
                      for one in upload.files],
        })
        return
    for one in upload.files:
        typer.echo(f"sha256 {one.sha256}  {one.path} ({format_bytes(one.bytes)})")
    typer.echo(f"licence: {upload.licence}")
    typer.echo(f"\n{upload.card}\nnothing was sent" if dry_run else f"pushed to {url}")
