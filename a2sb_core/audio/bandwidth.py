"""Find the frequency where the energy of a recording ends.

A spectrum level is taken that rare events reach (a high percentile over frames). A cutoff is a
knee in it: just below, the level is well above everything that follows. The knee is then located
by fitting the shape of a low-pass transition, so that neither the noise floor above it nor the
slope of the music below it shifts the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from a2sb_core.audio.arrays import FloatArray, as_wave, looks_finite
from a2sb_core.audio.knee import fit_knee_hz, steepest_drop
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

Spectrum = npt.NDArray[np.float32]

# Long enough to tell 1 % apart at 3 kHz (bins are 5.4 Hz wide at 44.1 kHz), short enough that a
# cymbal fills a frame.
FRAME_S = 0.372
# Frames kept of a long recording; beyond it every second one is dropped. 5 minutes at most take
# about a second, and an hour takes no more memory than 5 minutes.
MAX_FRAMES = 500
# Nothing above is music; converters put their shaped noise there.
ANALYSIS_TOP_HZ = 24_000.0
# The share of frames that may be louder than the level: hi-hats in a hundredth of the frames
# count as content, a single click does not.
LOUD_SHARE = 0.01
# A click or a hard cut touches two overlapping frames, so also in a short recording the two
# loudest do not count.
TOUCHED_FRAMES = 2
# Frames this much quieter than the loudest say nothing about the bandwidth (pauses, fades).
GATE_DB = 60.0
# A recording quieter than 1e-6 RMS holds nothing to judge by.
SILENCE_RMS = 1e-6
# Exact zeros for so many samples are inserted silence. A hard cut to it spreads energy over the
# whole spectrum, so the frames that hold such a run are left out.
ZERO_RUN = 64
# Levels (per Hz) so far below the total power count as equal: about the noise of 16 bits under
# full-scale music. Without it, inaudible steps between float noise and true zero were knees.
FLOOR_BELOW_TOTAL_DB = 130.0
# Energy up to here is full band: lossy codecs at good rates stop from 19 kHz, few adults hear
# more, and a wrongly found 18.5-20 kHz "cutoff" would only cost good content.
FULL_BAND_HZ = 18_500.0
# The same for files of low sample rates: their own anti-alias filter is no damage.
FULL_BAND_NYQUIST_SHARE = 0.9
# For the wording only: a level so far below the middle of the band, or so near the floor, is not
# called full band.
FADED_DB = 60.0
NEAR_FLOOR_DB = 10.0
# Samples analysed at once when one long array is given.
BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, eq=False)
class CutoffEstimate:
    """Where the energy of a recording ends.

    Attributes:
        cutoff_hz: the frequency where the energy ends, or None when there is nothing to extend
            (full band, no sharp edge, silent, too short).
        drop_db: how far the level falls at the steepest edge found, within a sixth of an octave;
            0 when there is none.
        reason: the finding as a plain sentence.
        freqs_hz: frequencies of the level profile, shape (bins,).
        level_db: level that the loudest frames reach, in dB relative to full scale per Hz, summed
            over channels, shape (bins,). For plotting.
    """

    cutoff_hz: float | None
    drop_db: float
    reason: str
    freqs_hz: Spectrum
    level_db: Spectrum


class CutoffDetector:
    """Collects a recording block by block, then tells where its energy ends.

    Memory is bounded however long the recording is (about 35 MB at 44.1 kHz).
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate <= 0:
            raise AudioError(f"The sample rate must be positive, got {sample_rate} Hz.")
        self.sample_rate = sample_rate
        self._frame = 1 << max(6, round(math.log2(FRAME_S * sample_rate)))
        self._bin_hz = sample_rate / self._frame
        self._bins = min(self._frame // 2, int(ANALYSIS_TOP_HZ / self._bin_hz)) + 1
        self._window = _blackman_harris(self._frame)
        power = float(np.sum(self._window.astype(np.float64) ** 2))
        self._scale = 2.0 / (sample_rate * power)
        self._step = self._frame // 2
        self._samples = 0
        self._next_start = 0
        self._tail: FloatArray | None = None
        self._spectra: list[Spectrum] = []
        self._has_hole: list[bool] = []

    def push(self, block: FloatArray | torch.Tensor) -> None:
        """Add the next samples, shape (channels, samples). NaN and infinity count as silence."""
        wave = as_wave(block, "cutoff detection")
        if not looks_finite(wave):
            wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
        if self._tail is not None:
            if self._tail.shape[0] != wave.shape[0]:
                raise AudioError(
                    f"A block of {wave.shape[0]} channels follows one of {self._tail.shape[0]}; "
                    "all blocks of a recording must have the same channels."
                )
            wave = np.concatenate([self._tail, wave], axis=1)
        start = self._samples - (0 if self._tail is None else self._tail.shape[1])
        end = start + wave.shape[1]
        while self._next_start + self._frame <= end:
            offset = self._next_start - start
            self._add_frame(wave[:, offset : offset + self._frame])
        # The copy lets go of the caller's (possibly huge) array.
        self._tail = wave[:, max(0, min(self._next_start - start, wave.shape[1])) :].copy()
        self._samples = end

    def _add_frame(self, frame: FloatArray) -> None:
        spectrum = np.fft.rfft(frame * self._window)[:, : self._bins]
        power = spectrum.real**2 + spectrum.imag**2
        self._spectra.append((power.sum(axis=0) * self._scale).astype(np.float32))
        silent = (frame == 0).all(axis=0).reshape(-1, ZERO_RUN).all(axis=1)
        self._has_hole.append(bool(silent.any()))
        if len(self._spectra) > 2 * MAX_FRAMES:
            self._spectra = self._spectra[::2]
            self._has_hole = self._has_hole[::2]
            self._step *= 2
            self._next_start = self._step * (len(self._spectra) - 1)
        self._next_start += self._step

    def estimate(self) -> CutoffEstimate:
        """Tell where the energy of all samples so far ends."""
        freqs_hz = (np.arange(self._bins) * self._bin_hz).astype(np.float32)
        empty = np.full(self._bins, -np.inf, dtype=np.float32)
        if not self._spectra:
            needed_s = self._frame / self.sample_rate
            reason = (
                f"too short: {self._samples / self.sample_rate:.2f} s, "
                f"at least {needed_s:.2f} s are needed"
            )
            return CutoffEstimate(None, 0.0, reason, freqs_hz, empty)
        power = self._usable_frames()
        total = float(power.mean(axis=0, dtype=np.float64).sum() * self._bin_hz)
        if math.sqrt(total) < SILENCE_RMS:
            return CutoffEstimate(None, 0.0, "silent: nothing to extend", freqs_hz, empty)
        return self._judge(freqs_hz, power, total)

    def _usable_frames(self) -> Spectrum:
        """Power spectra (frames, bins) without pauses and, if others remain, without holes."""
        power = np.stack(self._spectra)
        whole = ~np.asarray(self._has_hole)
        if (power[whole].sum(axis=1) * self._bin_hz > SILENCE_RMS**2).any():
            power = power[whole]
        energy = power.sum(axis=1)
        kept: Spectrum = power[energy >= energy.max() * 10 ** (-GATE_DB / 10)]
        return kept

    def _judge(self, freqs_hz: Spectrum, power: Spectrum, total: float) -> CutoffEstimate:
        kept = _kept_frames(len(power))
        power = np.partition(power, kept - 1, axis=0)[:kept]
        level_db = _decibel(power[-1])
        floor_db = 10 * math.log10(total) - FLOOR_BELOW_TOTAL_DB
        top_hz = min(self.sample_rate / 2, ANALYSIS_TOP_HZ)
        full_band_hz = min(FULL_BAND_HZ, FULL_BAND_NYQUIST_SHARE * self.sample_rate / 2)
        edge = steepest_drop(freqs_hz, np.maximum(level_db, floor_db), top_hz)
        if edge.is_knee:
            mean_power = power.mean(axis=0, dtype=np.float64)
            knee_hz = fit_knee_hz(freqs_hz, mean_power, edge.freq_hz, top_hz)
            if knee_hz < full_band_hz:
                reason = f"energy ends at {knee_hz:.0f} Hz: {edge.drop_db:.0f} dB lower above it"
                return CutoffEstimate(knee_hz, edge.drop_db, reason, freqs_hz, level_db)
            reason = f"full band: energy reaches {knee_hz:.0f} Hz, nothing to extend"
        elif _is_empty_near_top(freqs_hz, level_db, top_hz, floor_db):
            reason = "no sharp edge: the energy fades or is too sparse, nothing to extend from"
        else:
            reason = f"full band: no edge up to {full_band_hz:.0f} Hz, nothing to extend"
        return CutoffEstimate(None, edge.drop_db, reason, freqs_hz, level_db)


def detect_cutoff(
    wave: FloatArray | torch.Tensor | Iterable[FloatArray | torch.Tensor], sample_rate: int
) -> CutoffEstimate:
    """Find the frequency where the energy of a recording ends.

    Args:
        wave: samples of shape (channels, samples), or an iterable of such blocks in order.
        sample_rate: in Hz.

    Raises:
        AudioError: an array is not of shape (channels, samples), or is not floating point.
    """
    detector = CutoffDetector(sample_rate)
    for block in _blocks(wave):
        detector.push(block)
    return detector.estimate()


def _blocks(wave: Any) -> Iterator[FloatArray | torch.Tensor]:
    if not hasattr(wave, "shape"):
        yield from wave
        return
    array = as_wave(wave, "cutoff detection")
    for start in range(0, array.shape[1], BLOCK_SAMPLES):
        yield array[:, start : start + BLOCK_SAMPLES]


def _is_empty_near_top(
    freqs_hz: Spectrum, level_db: Spectrum, top_hz: float, floor_db: float
) -> bool:
    """Whether little is left near the top: far below the middle of the band, or near the floor."""
    middle = level_db[(freqs_hz > 0.05 * top_hz) & (freqs_hz < 0.2 * top_hz)]
    highest = level_db[(freqs_hz > 0.8 * top_hz) & (freqs_hz < 0.95 * top_hz)]
    least_db = max(float(np.median(middle)) - FADED_DB, floor_db + NEAR_FLOOR_DB)
    return float(np.median(highest)) < least_db


def _kept_frames(count: int) -> int:
    """How many frames remain, at each frequency, without the rare loudest ones."""
    ignored = max(TOUCHED_FRAMES, math.ceil(LOUD_SHARE * count) - 1)
    return count - min(ignored, count // 2)


def _decibel(power: npt.NDArray[np.floating[Any]]) -> Spectrum:
    level: Spectrum = (10 * np.log10(np.maximum(power, 1e-30))).astype(np.float32)
    return level


def _blackman_harris(length: int) -> Spectrum:
    """Periodic window whose side lobes lie 92 dB down: leakage never hides a deep knee."""
    phase = 2 * np.pi * np.arange(length) / length
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    window = sum(a * np.cos(k * phase) for k, a in enumerate(terms))
    return np.asarray(window, dtype=np.float32)
