"""Clips of an evaluation: the files of a folder, or of a split of a manifest."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from a2sb_core.audio.formats import FORMATS
from a2sb_core.config.evaluate import EvaluateConfig
from a2sb_core.errors import AudioError, ConfigError

TOLD = 5
"""So many missing files are named."""


@dataclass(frozen=True)
class Clip:
    """One file; ``name`` is its path below the source, the same on every machine."""

    name: str
    path: Path


def list_clips(config: EvaluateConfig) -> list[Clip]:
    """List the clips of an evaluation by name.

    Raises:
        ConfigError: the source is missing or not understood.
        AudioError: it holds no audio, or names files that are not there.
    """
    source = config.source
    if source.is_dir():
        clips = _below(source)
        if not clips:
            raise AudioError(
                f"there is no audio in {source}: no file ends in {', '.join(FORMATS)}"
            )
    elif source.suffix.lower() in FORMATS and source.is_file():
        clips = [Clip(source.name, source)]
    elif source.is_file():
        clips = _listed(source, config.split)
    else:
        raise ConfigError(
            f"{source} does not exist; give a folder of audio, a manifest (CSV) or an audio file"
        )
    return clips[: config.limit]


def _below(folder: Path) -> list[Clip]:
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in FORMATS)
    clips = [Clip(path.relative_to(folder).as_posix(), path) for path in paths if path.is_file()]
    return sorted(clips, key=lambda clip: clip.name)


def _listed(manifest: Path, split: str) -> list[Clip]:
    try:
        with manifest.open(newline="", encoding="utf8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{manifest} can not be read as a manifest: {error}") from error
    if not rows or "file_path" not in rows[0]:
        raise ConfigError(
            f"{manifest} is not a manifest: its first line must name a column file_path "
            "(and optionally split)"
        )
    splits = {row.get("split") or "" for row in rows}
    names = sorted(
        {row["file_path"] or "" for row in rows if "split" not in row or row["split"] == split}
    )
    if not names:
        known = ", ".join(sorted(splits - {""})) or "none"
        raise AudioError(f"{manifest} lists nothing for the split `{split}`; splits: {known}")
    clips = [Clip(name, manifest.parent / name) for name in names]
    missing = [clip.name or "(a line without a path)" for clip in clips if not clip.path.is_file()]
    if missing:
        more = f" and {len(missing) - TOLD} more" if len(missing) > TOLD else ""
        raise AudioError(
            f"{manifest}: {len(missing)} of {len(clips)} files are missing: "
            f"{', '.join(missing[:TOLD])}{more}; paths are relative to the manifest"
        )
    return clips
