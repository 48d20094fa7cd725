"""Sources of training audio: the files that manifests and folders hold."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from a2sb_core.audio.formats import FORMATS
from a2sb_core.config.run import DataConfig
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
COLUMNS = ("split", "file_path", "duration")


@dataclass(frozen=True)
class Source:
    """One audio file.

    Attributes:
        max_hz: its true bandwidth.
        group: a label for weighting.
        level_dbfs: root-mean-square level of the whole file; None: not known.
    """

    path: Path
    duration_s: float
    max_hz: float
    group: str = ""
    level_dbfs: float | None = None


def load_sources(config: DataConfig, split: str) -> list[Source]:
    """List the files of ``split`` (``train`` or ``validation``) of all sources.

    Where there are several sources, the group of a file is the one it came from.

    Raises:
        TrainingError: a source does not exist, is not understood, or holds nothing to train on.
    """
    if config.source is not None:
        return _load(config.source, split, config.validation_files)
    return [
        replace(source, group=str(part.path)) for part in config.sources
        for source in _load(part.path, split, config.validation_files)
    ]


def group_weights(config: DataConfig) -> dict[str, float]:
    """Share of the segments drawn from each group; empty: files are drawn by duration."""
    return config.group_weights or {str(part.path): part.weight for part in config.sources}


def _load(source: Path, split: str, held_out: int) -> list[Source]:
    if source.is_dir():
        sources = _from_folder(source, split, held_out)
    elif source.is_file():
        sources = _from_manifest(source, split)
    else:
        raise TrainingError(f"data source {source} does not exist; give a manifest or a folder")
    if not sources and split == "train":
        raise TrainingError(f"{source} lists no audio for the split `{split}`")
    return sources


def _from_folder(folder: Path, split: str, held_out: int) -> list[Source]:
    """Take every audio file below ``folder``; the last ones by name are set aside."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in FORMATS)
    cut = max(1, len(files) - held_out) if files else 0
    chosen = files[:cut] if split == "train" else files[cut:]
    sources = []
    for path in chosen:
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            log.warning("skipped %s: %s", path, error)
            continue
        if info.frames <= 0:
            log.warning("skipped %s: it holds no samples", path)
            continue
        sources.append(Source(path, info.duration, info.samplerate / 2))
    if len(sources) < len(chosen):
        log.warning("skipped %d of %d files of %s", len(chosen) - len(sources), len(chosen), folder)
    return sources


def _from_manifest(manifest: Path, split: str) -> list[Source]:
    """Read the rows of a split; paths are relative to the manifest."""
    try:
        with manifest.open(newline="", encoding="utf8") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{manifest} can not be read as a manifest: {error}") from error
    if not rows or not set(COLUMNS) <= set(rows[0][1]):
        raise TrainingError(
            f"{manifest} is not a manifest: its first line must name the columns "
            f"{','.join(COLUMNS)} (and optionally sample_rate, group and level_dbfs)"
        )
    sources = []
    for number, row in rows:
        try:
            source = _from_row(row, manifest.parent)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{manifest}, line {number}: {error}") from error
        if row["split"] == split:
            sources.append(source)
    return sources


def _from_row(row: Mapping[str, str | None], folder: Path) -> Source:
    path, duration, rate, level = (
        row.get(name) or "" for name in ("file_path", "duration", "sample_rate", "level_dbfs")
    )
    if row["split"] not in SPLITS:
        raise ValueError(f"unknown split `{row['split']}`; known: {', '.join(SPLITS)}")
    if not path:
        raise ValueError("there is no file_path")
    duration_s, max_hz = float(duration), float(rate or "inf") / 2
    if not 0 < duration_s < float("inf"):
        raise ValueError(f"the duration must be positive and finite, got {duration_s}")
    if not max_hz > 0:
        raise ValueError(f"the sample rate must be positive, got {rate}")
    return Source(
        folder / path, duration_s, max_hz, row.get("group") or "", float(level) if level else None
    )
