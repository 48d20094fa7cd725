"""Detection of the frequency at which the energy of a recording ends.

The detector measures a level spectrum that also rare events reach (a high percentile over frames).
A cutoff is a knee of this spectrum: the level just below it is well above all levels that follow.
A fit of the shape of a low-pass transition then locates the knee, so that neither the noise floor
above it nor the slope of the music below it shifts the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from a2sb_core.interfaces import AudioError, FloatArray, as_wave, looks_finite
from a2sb_tasks.detection.knee import fit_knee_hz, steepest_drop

if TYPE_CHECKING:
    import torch

Spectrum = npt.NDArray[np.float32]

# Frames are long enough to resolve 1 % at 3 kHz (bins are 5.4 Hz wide at 44.1 kHz), and short
# enough that a cymbal fills a frame.
FRAME_S = 0.372
# Number of frames that are kept; for longer recordings, every second one is dropped. The analysis
# of 5 minutes takes about a second, and an hour needs no more memory than 5 minutes.
MAX_FRAMES = 500
# There is no music above this frequency, but converters place shaped noise there.
ANALYSIS_TOP_HZ = 24_000.0
# Share of frames that may be louder than the level: hi-hats in a hundredth of the frames count as
# content, but a single click does not.
LOUD_SHARE = 0.01
# A click or a hard cut affects two overlapping frames, so the two loudest frames are ignored, also
# in a short recording.
TOUCHED_FRAMES = 2
# Frames that are quieter than the loudest by this amount (pauses, fades) are ignored.
GATE_DB = 60.0
# A recording with a lower RMS is silent.
SILENCE_RMS = 1e-6
# This many exact zeros are inserted silence. A hard cut to silence spreads energy over the whole
# spectrum, so frames with such a run are left out.
ZERO_RUN = 64
# Levels (per Hz) this far below the total power count as equal: about the noise of 16 bits under
# full-scale music. Otherwise inaudible steps between float noise and zero would be knees.
FLOOR_BELOW_TOTAL_DB = 130.0
# Energy up to this frequency is full band: lossy codecs at high bit rates end at 19 kHz or above,
# few adults hear more, and a false cutoff of 18.5 to 20 kHz would only remove good content.
FULL_BAND_HZ = 18_500.0
# The same for files of low sample rates, whose anti-alias filter is not damage.
FULL_BAND_NYQUIST_SHARE = 0.9
# Only for the reported reason: a level this far below the middle of the band, or this near the
# floor, is not called full band.
FADED_DB = 60.0
NEAR_FLOOR_DB = 10.0
# A channel is narrower than the recording if it ends below this share of the recording's cutoff.
NARROWER = 0.9


@dataclass(frozen=True, eq=False)
class CutoffEstimate:
    """Estimate of the frequency at which the energy of a recording ends.

    Attributes:
        cutoff_hz: the frequency at which the energy ends; None if there is nothing to extend
            (full band, no sharp edge, silent, or too short).
        drop_db: decrease of the level at the steepest edge, within a sixth of an octave; 0 if there
            is no edge.
        reason: a sentence about the result.
        freqs_hz: frequencies of the level spectrum, (bins,).
        level_db: level that the loudest frames reach, in dB relative to full scale per Hz, summed
            over channels, (bins,). It is for plots.
    """

    cutoff_hz: float | None
    drop_db: float
    reason: str
    freqs_hz: Spectrum
    level_db: Spectrum


class CutoffDetector:
    """Collects a recording block by block, and estimates where its energy ends.

    Memory does not grow with the length of the recording (about 35 MB at 44.1 kHz).
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
        """Add the next samples (channels, samples). NaN and infinity count as silence."""
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
        # The copy releases the array of the caller, which may be large.
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
        """Estimate where the energy of all samples so far ends."""
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
        """Return power spectra (frames, bins) without pauses and, if possible, without holes."""
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


class StereoCutoffDetector(CutoffDetector):
    """Estimates where the energy of a recording ends, and of each channel if there are two."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self._sides = {side: CutoffDetector(sample_rate) for side in ("left", "right")}

    def push(self, block: FloatArray | torch.Tensor) -> None:
        """Add the next samples (channels, samples). NaN and infinity count as silence."""
        super().push(block)
        if len(block) == len(self._sides):
            for channel, detector in enumerate(self._sides.values()):
                detector.push(block[channel : channel + 1])

    def notes(self, whole: CutoffEstimate) -> list[str]:
        """Return a sentence for each channel that ends well below the recording as a whole."""
        notes = []
        for side, detector in self._sides.items():
            cutoff_hz = detector.estimate().cutoff_hz
            limit_hz = math.inf if whole.cutoff_hz is None else NARROWER * whole.cutoff_hz
            if cutoff_hz is not None and cutoff_hz < limit_hz:
                notes.append(
                    f"the energy of the {side} channel alone ends at {cutoff_hz:.0f} Hz; "
                    "to extend it, restore this channel as a file of its own"
                )
        return notes


def _is_empty_near_top(
    freqs_hz: Spectrum, level_db: Spectrum, top_hz: float, floor_db: float
) -> bool:
    """Return whether the level near the top is far below the middle, or near the floor."""
    middle = level_db[(freqs_hz > 0.05 * top_hz) & (freqs_hz < 0.2 * top_hz)]
    highest = level_db[(freqs_hz > 0.8 * top_hz) & (freqs_hz < 0.95 * top_hz)]
    least_db = max(float(np.median(middle)) - FADED_DB, floor_db + NEAR_FLOOR_DB)
    return float(np.median(highest)) < least_db


def _kept_frames(count: int) -> int:
    """Return the number of frames that remain without the rare loudest ones."""
    ignored = max(TOUCHED_FRAMES, math.ceil(LOUD_SHARE * count) - 1)
    return count - min(ignored, count // 2)


def _decibel(power: npt.NDArray[np.floating[Any]]) -> Spectrum:
    level: Spectrum = (10 * np.log10(np.maximum(power, 1e-30))).astype(np.float32)
    return level


def _blackman_harris(length: int) -> Spectrum:
    """Return a periodic window with side lobes at -92 dB, whose leakage hides no deep knee."""
    phase = 2 * np.pi * np.arange(length) / length
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    window = sum(a * np.cos(k * phase) for k, a in enumerate(terms))
    return np.asarray(window, dtype=np.float32)
