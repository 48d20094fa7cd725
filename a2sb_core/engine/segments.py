"""Training segments: random stretches of audio files, cut without reading whole files."""

from __future__ import annotations

import logging
import math
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
from a2sb_core.config.run import AugmentConfig
from a2sb_core.engine.augmentation import imitate_codec, speed_factor
from a2sb_core.engine.sources import Source
from a2sb_core.errors import TrainingError

log = logging.getLogger(__name__)

SILENCE_RMS = 1e-3  # quieter segments teach nothing; another one is drawn
TRIES = 20
SLACK_S, SLACK = 1.0, 0.01
"""A file may be so much shorter than its manifest says: durations are rounded, or estimates."""

MP3_PREROLL = 8 * 1152
"""Frames of an MP3 lean on those before them: right after a seek, libsndfile returns silence."""


@dataclass(frozen=True)
class Segment:
    """A training item: mono ``wave`` (T,), its bandwidth, and the file and second it came from.

    Attributes:
        number: its place among all segments of the run.
        padded: the file is shorter than the segment, and silence fills it.
        quiet: so many draws were refused for their silence.
        skipped: files that could not be read in its place, and why.
    """

    wave: Tensor
    max_hz: float
    origin: str
    number: int = 0
    padded: bool = False
    quiet: int = 0
    skipped: Mapping[Path, str] = field(default_factory=dict)


class Segments(Dataset[Segment]):
    """Segment ``i`` is a pure function of (seed, i), so that a run resumes exactly.

    Files that can not be read, or hold less than their manifest says, are named in the log,
    counted in ``unreadable`` (per process) and another segment is drawn in their place.

    Args:
        sources: files to draw from.
        length: samples of a segment.
        sample_rate: Hz of the segments; files of other rates are resampled.
        count: length of the data set.
        seed: any integer.
        gain_db: random gain, plus or minus.
        loudness_dbfs: level files are brought to; None leaves them.
        group_weights: share of each group.
        augment: further random changes.
    """

    def __init__(
        self, sources: Sequence[Source], length: int, sample_rate: int, count: int, seed: int,
        gain_db: float = 0.0, loudness_dbfs: float | None = None,
        group_weights: dict[str, float] | None = None, augment: AugmentConfig | None = None,
    ) -> None:
        self.sources, self.length, self.sample_rate = list(sources), length, sample_rate
        self.count, self.seed, self.gain_db = count, seed, gain_db
        self.loudness_dbfs, self.augment = loudness_dbfs, augment or AugmentConfig()
        reached = _chances(self.sources, group_weights or {}).cumsum()
        self.reached = reached / reached[-1]  # a share of all draws falls to each file and before
        self.unreadable: dict[Path, str] = {}
        self._levels: dict[Path, float] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Segment:
        """Draw segment ``index``."""
        key = np.array([self.seed & (2**64 - 1), index], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        segment = self._draw(rng, index)
        if self.augment.mix and rng.random() < self.augment.mix:
            return _mix(segment, self._draw(rng, index), rng.uniform(*self.augment.mix_db))
        return segment

    def _draw(self, rng: np.random.Generator, index: int) -> Segment:
        """Cut segments at random places until one is readable and sounds."""
        silent, quiet, skipped = None, 0, {}
        for _ in range(TRIES):
            source = self.sources[int(self.reached.searchsorted(rng.random(), side="right"))]
            try:
                segment = self._cut(source, rng)
            except (soundfile.LibsndfileError, OSError, ValueError) as error:
                # A file known to be bad is tried again: what was read before must not matter.
                skipped[source.path] = str(error)
                self._note(source.path, str(error))
                continue
            if float(segment.wave.square().mean().sqrt()) > SILENCE_RMS:
                return replace(segment, number=index, quiet=quiet, skipped=skipped)
            silent, quiet = segment, quiet + 1
        if silent is None:
            raise TrainingError(
                f"no readable audio in {TRIES} draws; first problem: "
                f"{next(iter(self.unreadable.items()), 'none')}"
            )
        return replace(silent, number=index, quiet=quiet, skipped=skipped)

    def _note(self, path: Path, problem: str) -> None:
        """Count a bad file, and name it once."""
        if path not in self.unreadable:
            self.unreadable[path] = problem
            log.warning("unreadable file %d, skipped: %s: %s", len(self.unreadable), path, problem)

    def _cut(self, source: Source, rng: np.random.Generator) -> Segment:
        with soundfile.SoundFile(source.path) as file:
            rate, frames = file.samplerate, file.frames
            _check_duration(source, frames / rate)
            speed = speed_factor(self.augment.semitones, rng)
            played = rate * speed  # the rate at which the samples of the file go by
            wanted = math.ceil(self.length * played / self.sample_rate)
            start = int(rng.integers(max(1, frames - wanted + 1)))
            before = min(start, MP3_PREROLL) if file.format == "MP3" else 0
            file.seek(start - before)
            audio = file.read(before + wanted, dtype="float32", always_2d=True)[before:]
        if len(audio) < min(wanted, frames - start):
            raise ValueError(f"it breaks off at {(start + len(audio)) / rate:.2f} s")
        if not np.isfinite(audio).all():
            raise ValueError("the file holds NaN or infinite samples")
        mono = _pick_channel(audio, rng)
        if played != self.sample_rate:
            mono = soxr.resample(mono, played, self.sample_rate)
        mono = np.pad(mono[: self.length], (0, max(0, self.length - len(mono))))
        if self.augment.codec and rng.random() < self.augment.codec:
            mono = imitate_codec(mono, rng.uniform(*self.augment.codec_hz), self.sample_rate)
        gain_db = self._loudness_gain_db(source) + self.gain_db * (2 * rng.random() - 1)
        wave = torch.from_numpy(mono * np.float32(10 ** (gain_db / 20)))
        origin = f"{source.path} at {start / rate:.2f} s"
        max_hz = min(source.max_hz, rate / 2) * speed
        return Segment(wave, max_hz, origin, padded=frames < wanted)

    def _loudness_gain_db(self, source: Source) -> float:
        """Gain that brings the whole file, not the segment, to the wanted level."""
        if self.loudness_dbfs is None:
            return 0.0
        if source.level_dbfs is not None:
            return self.loudness_dbfs - max(source.level_dbfs, -60.0)
        if source.path not in self._levels:
            blocks = soundfile.blocks(source.path, blocksize=1 << 18, dtype="float32")
            powers, sizes = zip(*((float((b**2).sum()), b.size) for b in blocks), strict=True)
            if not np.isfinite(sum(powers)):
                raise ValueError("the file holds NaN or infinite samples")
            self._levels[source.path] = 10 * np.log10(sum(powers) / max(1, sum(sizes)) + 1e-12)
        return self.loudness_dbfs - max(self._levels[source.path], -60.0)


def _check_duration(source: Source, held_s: float) -> None:
    """Refuse a file that is shorter than its manifest says."""
    if held_s <= 0:
        raise ValueError("the file holds no audio")
    if held_s < (1 - SLACK) * source.duration_s - SLACK_S:
        raise ValueError(
            f"the manifest says {source.duration_s:g} s, and the file holds {held_s:g} s"
        )


def _mix(segment: Segment, other: Segment, gain_db: float) -> Segment:
    """Add another segment to one; the bandwidth of both is that of the narrower."""
    return replace(
        segment,
        wave=segment.wave + 10 ** (gain_db / 20) * other.wave,
        max_hz=min(segment.max_hz, other.max_hz),
        origin=f"{segment.origin} + {other.origin}",
        padded=segment.padded or other.padded,
        quiet=segment.quiet + other.quiet,
        skipped={**segment.skipped, **other.skipped},
    )


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
