"""Public data sets: where their audio and their metadata are, and what their metadata state."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from a2sb_core.audio.formats import FORMATS
from a2sb_core.config.loading import load_tree, validate
from a2sb_core.errors import TrainingError
from a2sb_core.plugins.component_config import FrozenConfig
from a2sb_core.training.curation.licences import UNKNOWN, recognize

EACH = "each"
"""Licence of a set whose files have licences of their own."""
BUILTIN = Path(__file__).with_name("public_sets.yaml")


class Metadata(FrozenConfig):
    """Files that describe the audio of a set, and their fields."""

    kind: Literal["csv", "tsv", "json", "text"]
    """``csv`` or ``tsv``: a table whose first line names the columns. ``json``: a list of objects,
    or an object of objects, whose keys are the field ``key``. ``text``: the line that contains the
    name of an audio file without its suffix begins the part on this file."""
    file: str
    """Pattern of the files, below the folder of the set."""
    stem: str = "{key}"
    """Name of the audio file without its suffix, as a format of the fields."""
    licence: str = ""
    """Field with the licence."""
    author: str = ""
    """Field with the author."""
    title: str = ""
    """Field with the title."""
    source: str = ""
    """Field with the address or origin."""


class PublicSet(FrozenConfig):
    """A data set."""

    title: str
    """Its name in texts."""
    home: str = ""
    """Its address."""
    stages: tuple[Literal["pretrain", "finetune"], ...] = ("pretrain", "finetune")
    """Stages of the training that use it."""
    licence: str = UNKNOWN
    """Licence of all of its files, or ``each`` if the metadata state that of each file."""
    audio: str = "**/*"
    """Pattern of its audio files, below its folder."""
    metadata: Metadata | None = None
    """Description of its files (default: there is none)."""


class PublicSets(FrozenConfig):
    """A list of data sets."""

    measured_by: str = ""
    """Task that measures the bandwidth of files (default: all tasks of the model)."""
    sets: dict[str, PublicSet] = Field(min_length=1)
    """Data sets by name."""


@dataclass(frozen=True)
class Described:
    """An audio file and what the metadata state about it; empty where they state nothing."""

    path: Path
    licence: str
    author: str = ""
    title: str = ""
    source: str = ""


def load_sets(more: Path | None = None) -> PublicSets:
    """Return the data sets of the paper, and those of a file of the same form.

    Raises:
        ConfigError: the file cannot be read, or a field of it is wrong.
    """
    known = validate(PublicSets, load_tree(BUILTIN), BUILTIN)
    if more is None:
        return known
    own = validate(PublicSets, load_tree(more), more)
    return PublicSets(
        measured_by=own.measured_by or known.measured_by, sets={**known.sets, **own.sets}
    )


def describe_files(one: PublicSet, folder: Path, licence: str = "") -> Iterator[Described]:
    """Yield the audio files of a set in a folder, with what its metadata state.

    Args:
        one: the set.
        folder: the copy of the set.
        licence: licence of all files in place of that of the set.

    Raises:
        TrainingError: the folder has no audio of this set, or metadata are missing or malformed.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is no folder: name the folder that holds {one.title}")
    paths = sorted(path for path in folder.glob(one.audio) if path.suffix.lower() in FORMATS)
    if not paths:
        raise TrainingError(f"{folder} holds no audio of {one.title} ({one.audio})")
    facts = _facts(one.metadata, folder, {path.stem for path in paths}) if one.metadata else {}
    for path in paths:
        known = facts.get(path.stem, {})
        stated = known.get("licence", "") if one.licence == EACH else one.licence
        more = {name: known.get(name, "") for name in ("author", "title", "source")}
        yield Described(path, recognize(licence or stated), **more)


def _facts(metadata: Metadata, folder: Path, stems: set[str]) -> dict[str, dict[str, str]]:
    """Return licence, author, title and source by the name of the file without its suffix."""
    files = sorted(path for path in folder.glob(metadata.file) if path.is_file())
    if not files:
        raise TrainingError(f"{folder} has no {metadata.file}, which states the licences")
    found: dict[str, dict[str, str]] = {}
    for file in files:
        try:
            if metadata.kind == "text":
                found |= _blocks(file.read_text(encoding="utf8", errors="replace"), stems)
            else:
                found |= _rows(metadata, file)
        except (OSError, ValueError, KeyError, csv.Error) as error:
            raise TrainingError(f"{file} cannot be read as {metadata.kind}: {error}") from error
    return found


def _rows(metadata: Metadata, file: Path) -> dict[str, dict[str, str]]:
    fields = {name: getattr(metadata, name) for name in ("licence", "author", "title", "source")}
    return {
        metadata.stem.format(**row): {
            name: str(row.get(field, "")) for name, field in fields.items() if field
        }
        for row in _table(metadata.kind, file)
    }


def _table(kind: str, file: Path) -> Sequence[Mapping[str, Any]]:
    if kind == "json":
        found = json.loads(file.read_text(encoding="utf8"))
        if isinstance(found, dict):
            return [{"key": key, **row} for key, row in found.items()]
        return [dict(row) for row in found]
    with file.open(newline="", encoding="utf8", errors="replace") as opened:
        return list(csv.DictReader(opened, delimiter="\t" if kind == "tsv" else ","))


def _blocks(text: str, stems: set[str]) -> dict[str, dict[str, str]]:
    """Divide a text into the parts on files; each part is the text of the licence."""
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        words = line.replace("/", " ").replace("\t", " ").split()
        named = [w.strip(".,:;") for w in words]
        stem = next((s for w in named for s in (w, w.rsplit(".", 1)[0]) if s in stems), None)
        if stem is not None:
            current = parts.setdefault(stem, [])
        if current is not None:
            current.append(line)
    return {
        stem: {"licence": "\n".join(lines), "source": " ".join(" ".join(lines).split())[:300]}
        for stem, lines in parts.items()
    }
