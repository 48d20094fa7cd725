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
from a2sb_core.config.training import AugmentConfig
from a2sb_core.errors import TrainingError
from a2sb_core.training.data.augmentation import imitate_codec, speed_factor
from a2sb_core.training.data.sources import TrainingFile

log = logging.getLogger(__name__)

SILENCE_RMS = 1e-3
"""Quieter segments teach nothing: another one is drawn."""
TRIES = 20
"""Draws of a segment before a silent one is taken."""
SLACK_S, SLACK = 1.0, 0.01
"""Tolerated difference between a file's length and its manifest entry, in seconds and as a share.
Durations in manifests are often rounded or estimated."""
MP3_PREROLL = 8 * 1152
"""Samples that are decoded before those wanted: frames of an MP3 depend on earlier ones, and
libsndfile returns silence right after a seek."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a file that is trained on.

    Attributes:
        wave: mono samples (T,), or (C, T) if C channels are trained together. The first and the
            last ``context`` samples surround the segment.
        max_hz: true bandwidth of the file.
        origin: the file and second it came from, for messages.
        number: its place among all segments of the run.
        padded: whether the file is shorter than the segment and was padded with silence.
        quiet: number of draws that were refused because they were silent.
        skipped: files that were drawn but could not be read, and why.
        context: number of samples on each side of the segment that are not trained on.
    """

    wave: Tensor
    max_hz: float
    origin: str
    number: int = 0
    padded: bool = False
    quiet: int = 0
    skipped: Mapping[Path, str] = field(default_factory=dict)
    context: int = 0

    @property
    def trained(self) -> Tensor:
        """Samples of the segment without its context."""
        return self.wave[..., self.context : self.wave.shape[-1] - self.context]


class Segments(Dataset[Segment]):
    """Random segments of files; segment ``i`` is a pure function of (seed, i).

    That is why a run resumes exactly. Files that cannot be read, or are shorter than their manifest
    says, are named in the log and counted in ``unreadable`` (per process), and another segment is
    drawn in their place.

    Args:
        files: files to draw from.
        length: samples of a segment.
        sample_rate: sample rate of the segments in Hz; files of other rates are resampled.
        count: number of segments.
        seed: any integer.
        gain_db: largest random gain in dB, up or down.
        loudness_dbfs: level in dBFS that files are brought to; None leaves them as they are.
        group_weights: relative share of each group; empty: files are drawn by duration alone.
        augment: further random changes.
        audio_channels: number of channels that are trained together. Files with another number are
            left out like unreadable ones. For 1, one channel or the mean of all is drawn.
        context: samples on each side that are read besides; beyond the ends of a file they are
            silent.
    """

    def __init__(
        self,
        files: Sequence[TrainingFile],
        length: int,
        sample_rate: int,
        count: int,
        seed: int,
        gain_db: float = 0.0,
        loudness_dbfs: float | None = None,
        group_weights: dict[str, float] | None = None,
        augment: AugmentConfig | None = None,
        audio_channels: int = 1,
        context: int = 0,
    ) -> None:
        self.files, self.length, self.sample_rate = list(files), length, sample_rate
        self.count, self.seed, self.gain_db = count, seed, gain_db
        self.loudness_dbfs, self.augment = loudness_dbfs, augment or AugmentConfig()
        self.audio_channels, self.context = audio_channels, context
        reached = _chances(self.files, group_weights or {}).cumsum()
        self.reached = reached / reached[-1]  # share of the draws up to and including each file
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

    def note(self, segments: Sequence[Segment]) -> None:
        """Count the unreadable files that other processes met on the way to some segments."""
        for segment in segments:
            self.unreadable.update(segment.skipped)

    def _draw(self, rng: np.random.Generator, index: int) -> Segment:
        """Cut segments at random places until one is readable and not silent."""
        silent, quiet, skipped = None, 0, {}
        for _ in range(TRIES):
            source = self.files[int(self.reached.searchsorted(rng.random(), side="right"))]
            try:
                segment = self._cut(source, rng)
            except (soundfile.LibsndfileError, OSError, ValueError) as error:
                # Bad files are tried again each time: the result must not depend on earlier reads.
                skipped[source.path] = str(error)
                self._note(source.path, str(error))
                continue
            if float(segment.trained.square().mean().sqrt()) > SILENCE_RMS:
                return replace(segment, number=index, quiet=quiet, skipped=skipped)
            silent, quiet = segment, quiet + 1
        if silent is None:
            raise TrainingError(
                f"no readable audio in {TRIES} draws; first problem: "
                f"{next(iter(self.unreadable.items()), 'none')}"
            )
        return replace(silent, number=index, quiet=quiet, skipped=skipped)

    def _note(self, path: Path, problem: str) -> None:
        """Count a bad file, and report it once."""
        if path not in self.unreadable:
            self.unreadable[path] = problem
            log.warning("unreadable file %d, skipped: %s: %s", len(self.unreadable), path, problem)

    def _cut(self, source: TrainingFile, rng: np.random.Generator) -> Segment:
        """Read a stretch from a random place of a file and change it at random."""
        with soundfile.SoundFile(source.path) as file:
            rate, frames = file.samplerate, file.frames
            if self.audio_channels not in (1, file.channels):
                raise ValueError(
                    f"it has {file.channels} channels, and the model restores "
                    f"{self.audio_channels} together"
                )
            _check_duration(source, frames / rate)
            speed = speed_factor(self.augment.semitones, rng)
            played = rate * speed  # samples of the file per second of the segment
            wanted = math.ceil(self.length * played / self.sample_rate)
            start = int(rng.integers(max(1, frames - wanted + 1)))
            around = round(self.context * played / self.sample_rate)
            first = max(0, start - around)
            audio = _read(file, first, min(frames, start + wanted + around) - first)
        drawn = audio.T if self.audio_channels > 1 else _pick_channel(audio, rng)
        if played != self.sample_rate:
            drawn = soxr.resample(drawn.T, played, self.sample_rate).T
        before = self.context - round((start - first) * self.sample_rate / played)
        drawn = _placed(drawn, before, self.length + 2 * self.context)
        if self.augment.codec and rng.random() < self.augment.codec:
            drawn = imitate_codec(drawn, rng.uniform(*self.augment.codec_hz), self.sample_rate)
        gain_db = self._loudness_gain_db(source) + self.gain_db * (2 * rng.random() - 1)
        wave = torch.from_numpy(drawn * np.float32(10 ** (gain_db / 20)))
        origin = f"{source.path} at {start / rate:.2f} s"
        max_hz = min(source.max_hz, rate / 2) * speed
        return Segment(wave, max_hz, origin, padded=frames < wanted, context=self.context)

    def _loudness_gain_db(self, source: TrainingFile) -> float:
        """Return the gain that brings the whole file, not the segment, to the wanted level."""
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


def _read(file: soundfile.SoundFile, start: int, wanted: int) -> FloatArray:
    """Read samples (T, C) from ``start`` on; fewer than wanted only at the end of the file."""
    before = min(start, MP3_PREROLL) if file.format == "MP3" else 0
    file.seek(start - before)
    audio: FloatArray = file.read(before + wanted, dtype="float32", always_2d=True)[before:]
    if len(audio) < min(wanted, file.frames - start):
        raise ValueError(f"it breaks off at {(start + len(audio)) / file.samplerate:.2f} s")
    if not np.isfinite(audio).all():
        raise ValueError("the file holds NaN or infinite samples")
    return audio


def _placed(wave: FloatArray, before: int, length: int) -> FloatArray:
    """Return ``length`` samples, with silence before the samples (..., T) and after them."""
    placed = np.zeros((*wave.shape[:-1], length), dtype=wave.dtype)
    part = wave[..., max(0, -before) : max(0, length - before)]
    first = max(0, before)
    placed[..., first : first + part.shape[-1]] = part
    return placed


def _check_duration(source: TrainingFile, held_s: float) -> None:
    """Raise ValueError for a file that is shorter than its manifest says."""
    if held_s <= 0:
        raise ValueError("the file holds no audio")
    if held_s < (1 - SLACK) * source.duration_s - SLACK_S:
        raise ValueError(
            f"the manifest says {source.duration_s:g} s, but the file has {held_s:g} s"
        )


def _mix(segment: Segment, other: Segment, gain_db: float) -> Segment:
    """Add another segment to one; the smaller of their bandwidths is that of the sum."""
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
    """Return one of the channels of (T, C) or their mean, at random."""
    choice = int(rng.integers(audio.shape[1] + 1))
    mono = audio.mean(axis=1) if choice == audio.shape[1] else audio[:, choice]
    return np.asarray(mono, dtype=np.float32)


def _chances(files: Sequence[TrainingFile], group_weights: dict[str, float]) -> FloatArray:
    """Return the probability of each file, by duration and by the weight of its group."""
    durations = np.array([file.duration_s for file in files], dtype=np.float64)
    if not group_weights:
        durations /= durations.sum()
        return durations
    groups = np.array([file.group for file in files])
    missing = sorted(set(group_weights) - set(groups))
    if missing:
        raise TrainingError(
            f"data.group_weights names groups that are not in the manifest: {', '.join(missing)}; "
            f"it has: {', '.join(sorted(set(groups)))}"
        )
    chances = np.zeros(len(files))
    for group, weight in group_weights.items():
        within = np.where(groups == group, durations, 0)
        chances += weight * within / within.sum()
    chances /= chances.sum()
    return chances
