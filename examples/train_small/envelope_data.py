"""Training data of the envelope model: levels of music by semitone, and their augmentation."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.nn import functional

from a2sb_core.audio.manifests import read_manifest
from a2sb_core.common.files import atomic_write
from a2sb_core.errors import TrainingError
from a2sb_core.interfaces import resample
from a2sb_tasks.envelope.bands import BANDS, FLOOR, FRAMES, LOWEST

SAMPLE_RATE, N_FFT, HOP = 44_100, 2048, 512
TOP_HZ = SAMPLE_RATE / 2
FREQS_HZ = torch.arange(1, N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
"""Frequencies of the rows of :func:`spectrogram` in Hz."""
PER_BAND = 4
"""Semitones of a third-octave."""
SEMITONES = PER_BAND * (BANDS + 1)
"""Semitones from the lowest band up; those of the last third-octave lie above 22.6 kHz."""
LOW_HZ = 1000 * 2 ** ((torch.arange(SEMITONES) + PER_BAND * (LOWEST - 0.5)) / 12)
"""Lower edge of each semitone in Hz."""
LEVEL_RMS = 0.1
"""Root-mean-square level that each track is brought to."""


def decibel(power: Tensor) -> Tensor:
    """Return the level of power in dB, with the floor of the model."""
    return 10 * (power + FLOOR).log10()


def by_band(semitones: Tensor) -> Tensor:
    """Return the mean over the bins of each band, (..., BANDS), of values (..., SEMITONES)."""
    widths = LOW_HZ.unflatten(0, (-1, PER_BAND))
    shares = widths / widths.sum(dim=1, keepdim=True)
    return (semitones.unflatten(-1, (-1, PER_BAND)) * shares).sum(dim=-1)[..., :BANDS]


@dataclass(frozen=True)
class Track:
    """Levels of a track.

    Attributes:
        path: the audio file.
        split: split of the manifest.
        group: group of the manifest.
        bandwidth_hz: true bandwidth.
        levels: level in dB of each stretch and semitone, (N, SEMITONES), in half precision.
    """

    path: Path
    split: str
    group: str
    bandwidth_hz: float
    levels: Tensor

    def power(self) -> Tensor:
        """Return the power of each stretch and semitone, (N, SEMITONES)."""
        return 10 ** (self.levels.float() / 10)


def load_tracks(manifest: Path, cache: Path) -> list[Track]:
    """Return the levels of all tracks of a manifest, from ``cache`` (.npz) if it exists.

    Raises:
        ConfigError: the manifest cannot be read.
        TrainingError: an audio file cannot be read, or the cache is of another manifest.
    """
    rows = read_manifest(manifest, ("split", "file_path"), ("sample_rate", "group"))
    names = np.array([row.fields["file_path"] for row in rows])
    if not cache.is_file():
        _write_cache([row.path for row in rows], names, cache)
    with np.load(cache) as arrays:
        if arrays["names"].tolist() != names.tolist():
            raise TrainingError(f"{cache} holds the levels of another manifest: delete it")
        levels = [torch.from_numpy(arrays[f"levels{number}"]) for number in range(len(rows))]
    rates = [float(row.fields.get("sample_rate") or SAMPLE_RATE) for row in rows]
    return [
        Track(row.path, row.fields["split"], row.fields.get("group", ""), min(rate / 2, TOP_HZ), x)
        for row, rate, x in zip(rows, rates, levels, strict=True)
    ]


def _write_cache(paths: Sequence[Path], names: np.ndarray, cache: Path) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(cache) as partial, zipfile.ZipFile(partial, "w") as archive:

        def add(name: str, array: np.ndarray) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)

        add("names", names)
        for number, path in enumerate(paths):
            # Half of the tracks give one channel, and half give the mean of all.
            power = spectrogram(path, channel=0 if number % 2 else None)
            add(f"levels{number}", semitone_levels(power).half().numpy())


def spectrogram(path: Path, channel: int | None = None) -> Tensor:
    """Return the power of a file at a level of ``LEVEL_RMS``, without DC, (F, W).

    Args:
        path: an audio file.
        channel: number of a channel; None: the mean of all.

    Raises:
        TrainingError: the file cannot be read, or is too short.
    """
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    if not audio.size:
        raise TrainingError(f"{path} holds no audio")
    gain = LEVEL_RMS / (float(np.sqrt(np.square(audio).mean())) + 1e-6)
    mono = audio.mean(axis=1) if channel is None else audio[:, channel]
    wave = torch.from_numpy(np.ascontiguousarray(mono) * np.float32(gain))
    wave = resample(wave[None], rate, SAMPLE_RATE)[0]
    if len(wave) <= N_FFT:
        raise TrainingError(f"{path} is too short: {len(wave)} samples")
    window = torch.hann_window(N_FFT)
    bins = torch.stft(wave, N_FFT, HOP, window=window, return_complex=True)[1:]
    return bins.abs().square()[:, : bins.shape[1] // FRAMES * FRAMES]


def semitone_levels(power: Tensor) -> Tensor:
    """Return the level of each stretch and semitone, (N, SEMITONES), of power (F, W).

    Semitones are narrower than the bins of low frequencies: the nearest bin stands for each.
    """
    number = (torch.searchsorted(LOW_HZ, FREQS_HZ, right=True) - 1).clamp(min=0)
    matrix = functional.one_hot(number, SEMITONES).T.float()
    middle = LOW_HZ * 2 ** (1 / 24)
    nearest = (FREQS_HZ[None] - middle[:, None]).abs().argmin(dim=1)
    empty = matrix.sum(dim=1) == 0
    matrix[empty, nearest[empty]] = 1
    matrix /= matrix.sum(dim=1, keepdim=True)
    return decibel((matrix @ power).unflatten(1, (-1, FRAMES)).mean(dim=2)).T


@dataclass(frozen=True)
class Batch:
    """A batch of training items; all tensors are (B, BANDS, N).

    Attributes:
        levels: known levels in dB.
        share: known share of each level.
        target: true levels in dB.
        weight: share of each level that is to be predicted; 0 above the bandwidth of the track.
    """

    levels: Tensor
    share: Tensor
    target: Tensor
    weight: Tensor


class Augmentation:
    """Draws batches from tracks, changed at random.

    Excerpts are shifted in pitch, mixed with another one, and given a gain and a smooth equalizer.
    Then all above a random cutoff is missing, or a gap; in some items the outer context is unknown.

    Args:
        tracks: tracks of the training split.
        real_weight: weight of a second of the group ``real``; one of the others has 1.
        size: number of items of a batch.
        stretches: number of stretches of an item.
        seed: any integer.
    """

    SHIFT, SHIFTED = 3.4, 0.5
    MIXED, MIX_DB = 0.3, (-15.0, 5.0)
    GAIN_DB, TILT_DB, WAVE_DB = 8.0, 1.0, 3.0
    CUTOFF_HZ = (2000.0, 16000.0)
    GAPS, GAP = 0.15, 24
    SHORT, EDGE = 0.4, 40

    def __init__(
        self, tracks: Sequence[Track], real_weight: float, size: int, stretches: int, seed: int
    ) -> None:
        self.tracks, self.size, self.stretches = list(tracks), size, stretches
        self.generator = torch.Generator().manual_seed(seed)
        weights = [real_weight if track.group == "real" else 1.0 for track in tracks]
        self.weights = torch.tensor(weights) * torch.tensor([len(t.levels) for t in tracks])

    def draw(self) -> Batch:
        """Draw a batch."""
        power, bandwidth_hz = self._music()
        added, limit_hz = self._music()
        gain = 10 ** (self._uniform(*self.MIX_DB) / 10) * self._chance(self.MIXED)
        limit_hz = torch.where(gain > 0, limit_hz, TOP_HZ)
        power = (power + gain[..., None] * added) * self._equalizer()[:, None]
        return self._masked(power, torch.minimum(bandwidth_hz, limit_hz))

    def _uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.size, 1, generator=self.generator)

    def _chance(self, probability: float) -> Tensor:
        return self._uniform(0, 1) < probability

    def _music(self) -> tuple[Tensor, Tensor]:
        """Draw excerpts (B, N, SEMITONES), shifted in pitch, and their bandwidths (B, 1) in Hz."""
        numbers = torch.multinomial(self.weights, self.size, True, generator=self.generator)
        tracks = [self.tracks[number] for number in numbers.tolist()]
        levels = torch.stack([self._excerpt(track.levels) for track in tracks]).float()
        bandwidth_hz = torch.tensor([[track.bandwidth_hz] for track in tracks])
        shift = self._uniform(-self.SHIFT, self.SHIFT) * self._chance(self.SHIFTED)
        shift = shift.round().long()
        source = (torch.arange(SEMITONES) - shift).clamp(0, SEMITONES - 1)
        levels = levels.gather(2, source[:, None].expand_as(levels))
        return 10 ** (levels / 10), (bandwidth_hz * 2 ** (shift / 12)).clamp(max=TOP_HZ)

    def _excerpt(self, levels: Tensor) -> Tensor:
        """Cut an excerpt; a short track is repeated."""
        places = max(1, len(levels) - self.stretches + 1)
        start = int(torch.randint(places, (1,), generator=self.generator))
        return levels[torch.arange(start, start + self.stretches) % len(levels)]

    def _equalizer(self) -> Tensor:
        """Draw factors of power (B, SEMITONES): a gain, a tilt by octave, a sine over octaves."""
        octaves = (LOW_HZ / 1000).log2()
        normal = torch.randn(self.size, 1, generator=self.generator)
        angle = self._uniform(0.3, 1.8) * octaves + self._uniform(0, 2 * math.pi)
        curve_db = self._uniform(-self.GAIN_DB, self.GAIN_DB) + self.TILT_DB * normal * octaves
        return 10 ** ((curve_db + self._uniform(0, self.WAVE_DB) * angle.sin()) / 10)

    def _masked(self, power: Tensor, bandwidth_hz: Tensor) -> Batch:
        known, inside = self._known()
        share = by_band(known)
        levels = decibel(by_band(power * known) / share.clamp(min=1e-6))
        highest_hz = LOW_HZ[PER_BAND - 1 :: PER_BAND][:BANDS]
        weight = (1 - share) * inside * (highest_hz <= bandwidth_hz)[:, None]
        return Batch(levels.mT, share.mT, decibel(by_band(power)).mT, weight.mT)

    def _known(self) -> tuple[Tensor, Tensor]:
        """Draw masks of what is known (B, N, SEMITONES), and of the context (B, N, 1)."""
        time = torch.arange(self.stretches)
        low, high = (math.log(limit) for limit in self.CUTOFF_HZ)
        below = (self._uniform(low, high).exp() > LOW_HZ).float()
        length = self._uniform(2, self.GAP)
        start = self._uniform(0, 1) * (self.stretches - length)
        around = ((time < start) | (time >= start + length)).float()
        is_gap = self._chance(self.GAPS)[..., None]
        known = torch.where(is_gap, around[..., None], below[:, None])
        before, after = (self._uniform(0, self.EDGE) * self._chance(self.SHORT) for _ in range(2))
        inside = ((time >= before.floor()) & (time < self.stretches - after.floor())).float()
        return known * inside[..., None], inside[..., None]
