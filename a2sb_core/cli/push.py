"""``a2sb push``: uploads a model folder to the hub, with a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.options import JsonOption
from a2sb_core.cli.output import print_json
from a2sb_core.common.text import format_bytes

if TYPE_CHECKING:
    from a2sb_core.models.publishing import Upload


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Model folder to upload.")],
    repo: Annotated[
        str,
        typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; it is made if needed."),
    ],
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            show_default=False,
            help="Licence by the hub's name, such as apache-2.0 (default: that of the card).",
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Output folder of `a2sb evaluate`; the card shows its figures.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="BRANCH",
            show_default=False,
            help="Branch (default: the main branch); it is made if needed.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files and the card; send nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Upload a model in one commit with its card, as the user of `hf auth login` or HF_TOKEN."""
    from a2sb_core.models import publishing

    upload = publishing.prepare(folder, repo, licence, evaluation)
    url = None if dry_run else publishing.push(upload, private=private, revision=revision)
    if as_json:
        print_json({"repo": repo, "url": url, **_as_dict(upload)})
        return
    _print(upload)
    typer.echo("nothing was sent" if dry_run else f"pushed to {url}")


def _print(upload: Upload) -> None:
    for one in upload.files:
        typer.echo(f"sha256 {one.sha256}  {one.path} ({format_bytes(one.bytes)})")
    typer.echo(f"licence: {upload.licence}")
    typer.echo(f"\n{upload.card}")


def _as_dict(upload: Upload) -> dict[str, Any]:
    return {
        "licence": upload.licence.id,
        "card": upload.card,
        "files": [
            {"path": one.path, "bytes": one.bytes, "sha256": one.sha256} for one in upload.files
        ],
    }
