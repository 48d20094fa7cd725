"""Changes of training segments that make few recordings stand for more."""

from __future__ import annotations

import numpy as np

from a2sb_core.audio.arrays import FloatArray

SLOPE_HZ = 400.0


def speed_factor(semitones: float, rng: np.random.Generator) -> float:
    """Draw a factor of pitch and tempo, uniform on the scale of pitch.

    Args:
        semitones: the largest change, up or down; 0 gives 1 and leaves ``rng`` alone.
        rng: where the draw comes from.
    """
    if semitones == 0:
        return 1.0
    return float(2 ** (semitones * (2 * rng.random() - 1) / 12))


def imitate_codec(mono: FloatArray, cutoff_hz: float, sample_rate: int) -> FloatArray:
    """Do what lossy codecs do to the top of a spectrum: a low-pass, and 16 bits on decoding.

    Args:
        mono: samples (T,), full scale 1.
        cutoff_hz: where half the amplitude is left, on a slope of 400 Hz.
        sample_rate: of ``mono``, in Hz.

    Returns:
        Samples of the same shape.
    """
    freqs_hz = np.fft.rfftfreq(len(mono), 1 / sample_rate)
    slope = np.clip((cutoff_hz - freqs_hz) / SLOPE_HZ + 0.5, 0, 1)
    limited = np.fft.irfft(np.fft.rfft(mono) * np.sin(np.pi / 2 * slope) ** 2, len(mono))
    return (np.rint(limited * 32768) / 32768).astype(np.float32)
