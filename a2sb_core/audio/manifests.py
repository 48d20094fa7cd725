"""Manifests: CSV files that list audio, one file a row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a2sb_core.errors import ConfigError


@dataclass(frozen=True)
class ManifestRow:
    """One row of a manifest.

    Attributes:
        line: its line in the file, for messages.
        path: the audio file; relative paths in a manifest start from the manifest's folder.
        fields: text of each column by its name, empty where the row has none.
    """

    line: int
    path: Path
    fields: Mapping[str, str]


def read_manifest(
    manifest: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> list[ManifestRow]:
    """Read all rows of a manifest.

    Args:
        manifest: a CSV file whose first line names its columns.
        columns: columns that it must have, ``file_path`` among them.
        optional: columns that it may have, for the message of the error.

    Raises:
        ConfigError: it is not readable as CSV, has no rows, or lacks a column.
    """
    try:
        with manifest.open(newline="", encoding="utf8") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{manifest} cannot be read as a manifest: {error}") from error
    if not rows or not set(columns) <= set(rows[0][1]):
        also = f" (and optionally {', '.join(optional)})" if optional else ""
        raise ConfigError(
            f"{manifest} is not a manifest: its first line must name the columns "
            f"{','.join(columns)}{also}, and each other line an audio file"
        )
    found = []
    for line, row in rows:
        fields = {name: text or "" for name, text in row.items() if name is not None}
        found.append(ManifestRow(line, manifest.parent / fields["file_path"], fields))
    return found
