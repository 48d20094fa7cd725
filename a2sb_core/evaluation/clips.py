"""Clips of an evaluation: the files of a folder, or of one split of a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.manifests import read_manifest
from a2sb_core.common.files import find_files, hold_out
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import AudioError, ConfigError

LISTED_MISSING = 5
"""Largest number of missing files that an error message lists."""


@dataclass(frozen=True)
class ClipFile:
    """A clip; ``name`` is its path below the source, the same on every machine."""

    name: str
    path: Path


def list_clips(config: EvaluateConfig) -> list[ClipFile]:
    """List the clips of an evaluation, sorted by name.

    Raises:
        ConfigError: the source is missing, or is neither audio nor a manifest.
        AudioError: the source holds no audio, or lists files that do not exist.
    """
    source = config.source
    if config.held_out is not None and source.is_file():
        raise ConfigError("held_out counts files of a folder; a manifest names those of its splits")
    if source.is_dir():
        clips = _in_folder(source, config.held_out)
    elif source.suffix.lower() in FORMATS and source.is_file():
        clips = [ClipFile(source.name, source)]
    elif source.is_file():
        clips = _in_manifest(source, config.split)
    else:
        raise ConfigError(
            f"{source} does not exist; give a folder of audio, a manifest (CSV) or an audio file"
        )
    return clips[: config.limit]


def _in_folder(folder: Path, held_out: int | None) -> list[ClipFile]:
    paths = find_files(folder, FORMATS)
    if not paths:
        raise AudioError(f"there is no audio in {folder}: no file ends in {', '.join(FORMATS)}")
    if held_out is not None:
        paths = hold_out(paths, held_out)[1]
    if not paths:
        raise AudioError(
            f"{folder} has a single file, so training sets none aside: leave out held_out"
        )
    clips = [ClipFile(path.relative_to(folder).as_posix(), path) for path in paths]
    return sorted(clips, key=lambda clip: clip.name)


def _in_manifest(manifest: Path, split: str) -> list[ClipFile]:
    rows = [row.fields for row in read_manifest(manifest, ["file_path"], ["split"])]
    names = sorted({row["file_path"] for row in rows if row.get("split", split) == split})
    if not names:
        splits = ", ".join(sorted({row.get("split") or "" for row in rows} - {""})) or "none"
        raise AudioError(f"{manifest} lists nothing for the split `{split}`; splits: {splits}")
    clips = [ClipFile(name, manifest.parent / name) for name in names]
    _check_files(clips, manifest)
    return clips


def _check_files(clips: list[ClipFile], manifest: Path) -> None:
    missing = [clip.name or "(a line without a path)" for clip in clips if not clip.path.is_file()]
    if missing:
        rest = len(missing) - LISTED_MISSING
        raise AudioError(
            f"{manifest}: {len(missing)} of {len(clips)} files are missing: "
            f"{', '.join(missing[:LISTED_MISSING])}{f' and {rest} more' if rest > 0 else ''}; "
            "paths are relative to the manifest"
        )
