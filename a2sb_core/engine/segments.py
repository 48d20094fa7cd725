"""Training segments: random stretches of the files of a manifest or folder."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor
from torch.utils.data import Dataset

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.config.run import DataConfig
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".w64", ".opus")
SILENCE_RMS = 1e-3  # quieter segments teach nothing; another one is drawn
TRIES = 20


@dataclass(frozen=True)
class Source:
    """One audio file: ``max_hz`` is its true bandwidth, ``group`` a label for weighting."""

    path: Path
    duration_s: float
    max_hz: float
    group: str = ""


@dataclass(frozen=True)
class Segment:
    """A training item: mono ``wave`` (T,), its bandwidth, and the file and second it came from.

    ``skipped`` holds files that could not be read in its place, and why.
    """

    wave: Tensor
    max_hz: float
    origin: str
    skipped: Mapping[Path, str] = field(default_factory=dict)


def load_sources(config: DataConfig, split: str) -> list[Source]:
    """List the files of ``split`` (``train`` or ``validation``) of a manifest or a folder.

    Raises:
        TrainingError: the source does not exist, is not understood, or holds nothing.
    """
    if config.source.is_dir():
        sources = _from_folder(config.source, split, config.validation_files)
    elif config.source.is_file():
        sources = _from_manifest(config.source, split)
    else:
        raise TrainingError(
            f"data.source {config.source} does not exist; give a manifest (CSV) or a folder"
        )
    if not sources and split == "train":
        raise TrainingError(f"{config.source} lists no audio for the split `{split}`")
    return sources


def _from_folder(folder: Path, split: str, held_out: int) -> list[Source]:
    """Take every audio file below ``folder``; the last ones by name are set aside."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    cut = max(1, len(files) - held_out) if files else 0
    sources = []
    for path in files[:cut] if split == "train" else files[cut:]:
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            log.warning("skipped %s: %s", path, error)
            continue
        sources.append(Source(path, info.duration, info.samplerate / 2))
    return sources


def _from_manifest(manifest: Path, split: str) -> list[Source]:
    """Read ``split,file_path,duration[,sample_rate[,group]]``; paths are relative to the file."""
    with manifest.open(newline="", encoding="utf8") as file:
        reader = csv.DictReader(file)
        rows = [(reader.line_num, row) for row in reader]
    if not rows or not {"split", "file_path", "duration"} <= set(rows[0][1]):
        raise TrainingError(
            f"{manifest} is not a manifest: its first line must name the columns "
            "split,file_path,duration (and optionally sample_rate and group)"
        )
    sources = []
    for number, row in rows:
        try:
            rate = float(row.get("sample_rate") or "inf")
            path, duration_s = manifest.parent / row["file_path"], float(row["duration"])
            if not 0 < duration_s < float("inf"):
                raise ValueError(f"the duration must be positive and finite, got {duration_s}")
            source = Source(path, duration_s, rate / 2, row.get("group") or "")
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{manifest}, line {number}: {error}") from error
        if row["split"] == split:
            sources.append(source)
    return sources


class Segments(Dataset[Segment]):
    """Segment ``i`` is a pure function of (seed, i), so that a run resumes exactly.

    Files that can not be read are named in the log, counted in ``unreadable`` (per process) and
    another segment is drawn in their place.

    Args:
        sources: files to draw from.
        length: samples of a segment.
        sample_rate: Hz of the segments; files of other rates are resampled.
        count: length of the data set.
        seed: any integer.
        gain_db: random gain, plus or minus.
        loudness_dbfs: level files are brought to; None leaves them.
        group_weights: share of each group.
    """

    def __init__(
        self, sources: Sequence[Source], length: int, sample_rate: int, count: int, seed: int,
        gain_db: float = 0.0, loudness_dbfs: float | None = None,
        group_weights: dict[str, float] | None = None,
    ) -> None:
        self.sources, self.length, self.sample_rate = list(sources), length, sample_rate
        self.count, self.seed, self.gain_db = count, seed, gain_db
        self.loudness_dbfs = loudness_dbfs
        self.chances = _chances(self.sources, group_weights or {})
        self.unreadable: dict[Path, str] = {}
        self._levels: dict[Path, float] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Segment:
        """Draw segment ``index``."""
        key = np.array([self.seed & (2**64 - 1), index], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        quiet, skipped = None, {}
        for _ in range(TRIES):
            source = self.sources[int(rng.choice(len(self.sources), p=self.chances))]
            try:
                segment = self._cut(source, rng)
            except (soundfile.LibsndfileError, OSError, ValueError) as error:
                # A file known to be bad is tried again: what was read before must not matter.
                skipped[source.path] = str(error)
                if source.path not in self.unreadable:
                    self.unreadable[source.path] = str(error)
                    log.warning(
                        "unreadable file %d, skipped: %s: %s",
                        len(self.unreadable), source.path, error,
                    )
                continue
            if float(segment.wave.square().mean().sqrt()) > SILENCE_RMS:
                return replace(segment, skipped=skipped)
            quiet = segment
        if quiet is None:
            raise TrainingError(
                f"no readable audio in {TRIES} draws; first problem: "
                f"{next(iter(self.unreadable.items()), 'none')}"
            )
        return replace(quiet, skipped=skipped)

    def _cut(self, source: Source, rng: np.random.Generator) -> Segment:
        with soundfile.SoundFile(source.path) as file:
            rate = file.samplerate
            wanted = -(-self.length * rate // self.sample_rate)
            start = int(rng.integers(max(1, file.frames - wanted + 1)))
            file.seek(start)
            audio = file.read(wanted, dtype="float32", always_2d=True)
        if len(audio) == 0:
            raise ValueError("the file holds no audio")
        if not np.isfinite(audio).all():
            raise ValueError("the file holds NaN or infinite samples")
        mono = _pick_channel(audio, rng)
        if rate != self.sample_rate:
            mono = soxr.resample(mono, rate, self.sample_rate)
        mono = np.pad(mono[: self.length], (0, max(0, self.length - len(mono))))
        gain_db = self._loudness_gain_db(source) + self.gain_db * (2 * rng.random() - 1)
        wave = torch.from_numpy(mono * np.float32(10 ** (gain_db / 20)))
        return Segment(wave, min(source.max_hz, rate / 2), f"{source.path} at {start / rate:.2f} s")

    def _loudness_gain_db(self, source: Source) -> float:
        """Gain that brings the whole file, not the segment, to the wanted level."""
        if self.loudness_dbfs is None:
            return 0.0
        if source.path not in self._levels:
            blocks = soundfile.blocks(source.path, blocksize=1 << 18, dtype="float32")
            powers, sizes = zip(*((float((b**2).sum()), b.size) for b in blocks), strict=True)
            if not np.isfinite(sum(powers)):
                raise ValueError("the file holds NaN or infinite samples")
            self._levels[source.path] = 10 * np.log10(sum(powers) / max(1, sum(sizes)) + 1e-12)
        return self.loudness_dbfs - max(self._levels[source.path], -60.0)


def _pick_channel(audio: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Take one channel or their mean, at random, of (T, C)."""
    choice = int(rng.integers(audio.shape[1] + 1))
    mono = audio.mean(axis=1) if choice == audio.shape[1] else audio[:, choice]
    return np.asarray(mono, dtype=np.float32)


def _chances(sources: Sequence[Source], group_weights: dict[str, float]) -> FloatArray:
    """Probability of each file: by duration, and by group where groups have weights."""
    durations = np.array([source.duration_s for source in sources], dtype=np.float64)
    if not group_weights:
        durations /= durations.sum()
        return durations
    groups = np.array([source.group for source in sources])
    missing = sorted(set(group_weights) - set(groups))
    if missing:
        raise TrainingError(
            f"data.group_weights names groups that the manifest has not: {', '.join(missing)}; "
            f"it has: {', '.join(sorted(set(groups)))}"
        )
    chances = np.zeros(len(sources))
    for group, weight in group_weights.items():
        within = np.where(groups == group, durations, 0)
        chances += weight * within / within.sum()
    chances /= chances.sum()
    return chances
