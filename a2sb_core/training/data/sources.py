"""Sources of training audio: manifests, and folders of audio files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.manifests import read_manifest
from a2sb_core.common.files import find_files, hold_out
from a2sb_core.config.training import DataConfig
from a2sb_core.errors import ConfigError, TrainingError

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
COLUMNS = ("split", "file_path", "duration")


@dataclass(frozen=True)
class TrainingFile:
    """One audio file of a source.

    Attributes:
        path: where it is.
        duration_s: its length in seconds.
        max_hz: its true bandwidth.
        group: a label for weighting.
        level_dbfs: root-mean-square level of the whole file; None if unknown.
    """

    path: Path
    duration_s: float
    max_hz: float
    group: str = ""
    level_dbfs: float | None = None


def list_files(config: DataConfig, split: str) -> list[TrainingFile]:
    """List the files of ``split`` (``train`` or ``validation``) of all sources.

    With several sources, the group of a file is the path of its source.

    Raises:
        TrainingError: a source does not exist, is malformed, or has nothing to train on.
    """
    if config.source is not None:
        return _list(config.source, split, config.validation_files)
    return [
        replace(file, group=str(source.path))
        for source in config.sources
        for file in _list(source.path, split, config.validation_files)
    ]


def group_weights(config: DataConfig) -> dict[str, float]:
    """Return the weight of each group; without weights, files are drawn by duration alone."""
    return config.group_weights or {str(part.path): part.weight for part in config.sources}


def _list(source: Path, split: str, held_out: int) -> list[TrainingFile]:
    if source.is_dir():
        files = _from_folder(source, split, held_out)
    elif source.is_file():
        files = _from_manifest(source, split)
    else:
        raise TrainingError(f"data source {source} does not exist; give a manifest or a folder")
    if not files and split == "train":
        raise TrainingError(f"{source} lists no audio for the split `{split}`")
    return files


def _from_folder(folder: Path, split: str, held_out: int) -> list[TrainingFile]:
    """List the audio files below ``folder``; the last ones by name are for validation."""
    paths = find_files(folder, FORMATS)
    for_training, for_validation = hold_out(paths, held_out)
    chosen = for_training if split == "train" else for_validation
    files = []
    for path in chosen:
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            log.warning("skipped %s: %s", path, error)
            continue
        if info.frames <= 0:
            log.warning("skipped %s: it holds no samples", path)
            continue
        files.append(TrainingFile(path, info.duration, info.samplerate / 2))
    if len(files) < len(chosen):
        log.warning("skipped %d of %d files of %s", len(chosen) - len(files), len(chosen), folder)
    return files


def _from_manifest(manifest: Path, split: str) -> list[TrainingFile]:
    optional = ("sample_rate", "group", "level_dbfs")
    try:
        rows = read_manifest(manifest, COLUMNS, optional)
    except ConfigError as error:
        raise TrainingError(str(error)) from error
    files = []
    for row in rows:
        try:
            file = _from_row(row.path, row.fields)
        except ValueError as error:
            raise TrainingError(f"{manifest}, line {row.line}: {error}") from error
        if row.fields["split"] == split:
            files.append(file)
    return files


def _from_row(path: Path, fields: Mapping[str, str]) -> TrainingFile:
    rate, level = fields.get("sample_rate"), fields.get("level_dbfs")
    if fields["split"] not in SPLITS:
        raise ValueError(f"unknown split `{fields['split']}`; known: {', '.join(SPLITS)}")
    if not fields["file_path"]:
        raise ValueError("there is no file_path")
    duration_s, max_hz = float(fields["duration"]), float(rate or "inf") / 2
    if not 0 < duration_s < float("inf"):
        raise ValueError(f"the duration must be positive and finite, got {duration_s}")
    if not max_hz > 0:
        raise ValueError(f"the sample rate must be positive, got {rate}")
    level_dbfs = float(level) if level else None
    return TrainingFile(path, duration_s, max_hz, fields.get("group", ""), level_dbfs)
