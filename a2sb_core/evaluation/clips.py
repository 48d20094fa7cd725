"""Clips of an evaluation: the files of a folder, or of one split of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.manifests import read_manifest
from a2sb_core.common.files import file_hash, find_files, hold_out
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import AudioError, ConfigError
from a2sb_core.evaluation.results import fingerprint

PATH = "_path"
"""End of the names of columns that hold paths, relative to the manifest."""
COLUMNS = ("midi_path", "midi_start")
"""Further columns of a manifest, for metrics."""
LISTED_MISSING = 5
"""Largest number of missing files that an error message lists."""


@dataclass(frozen=True)
class ClipFile:
    """A clip of an evaluation.

    Attributes:
        name: its path below the source, the same on every machine.
        path: its file.
        columns: further columns of its row in the manifest; those named ``..._path`` are the
            paths of files, and absolute.
    """

    name: str
    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A hash of the content of the clip and of all files that its columns name."""
        own = file_hash(self.path)
        more = {
            name: file_hash(Path(text)) if name.endswith(PATH) else text
            for name, text in self.columns.items()
        }
        return fingerprint(own, more) if more else own


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
    rows = [row.fields for row in read_manifest(manifest, ["file_path"], ["split", *COLUMNS])]
    chosen = {row["file_path"]: row for row in rows if row.get("split", split) == split}
    if not chosen:
        splits = ", ".join(sorted({row.get("split") or "" for row in rows} - {""})) or "none"
        raise AudioError(f"{manifest} lists nothing for the split `{split}`; splits: {splits}")
    clips = [
        ClipFile(name, manifest.parent / name, _columns(row, manifest.parent))
        for name, row in sorted(chosen.items())
    ]
    _check_files(clips, manifest)
    return clips


def _columns(row: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the columns for metrics that a row fills."""
    found = {name: row[name] for name in COLUMNS if row.get(name)}
    absolute = {name: str((folder / text).absolute()) for name, text in found.items()}
    return {name: absolute[name] if name.endswith(PATH) else found[name] for name in found}


def _check_files(clips: list[ClipFile], manifest: Path) -> None:
    files = {clip.name or "(a line without a path)": clip.path for clip in clips}
    for clip in clips:
        more = {name: Path(text) for name, text in clip.columns.items() if name.endswith(PATH)}
        files |= {f"{name} of {clip.name} ({path.name})": path for name, path in more.items()}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        rest = len(missing) - LISTED_MISSING
        raise AudioError(
            f"{manifest}: {len(missing)} of {len(files)} files are missing: "
            f"{', '.join(missing[:LISTED_MISSING])}{f' and {rest} more' if rest > 0 else ''}; "
            "paths are relative to the manifest"
        )
