"""Random changes of training segments, which make more of few recordings."""

from __future__ import annotations

import numpy as np

from a2sb_core.audio.arrays import FloatArray

SLOPE_HZ = 400.0


def speed_factor(semitones: float, rng: np.random.Generator) -> float:
    """Draw a factor of pitch and tempo, uniform on the scale of pitch.

    Args:
        semitones: the largest change, up or down; 0 returns 1 and leaves ``rng`` as it is.
        rng: source of the draw.
    """
    if semitones == 0:
        return 1.0
    return float(2 ** (semitones * (2 * rng.random() - 1) / 12))


def imitate_codec(wave: FloatArray, cutoff_hz: float, sample_rate: int) -> FloatArray:
    """Change the top of a spectrum as lossy codecs do: a low-pass, and 16 bits on decoding.

    Args:
        wave: samples (..., T), full scale 1.
        cutoff_hz: where half the amplitude is left, on a slope of 400 Hz.
        sample_rate: sample rate of ``wave``, in Hz.

    Returns:
        Samples of the same shape.
    """
    freqs_hz = np.fft.rfftfreq(wave.shape[-1], 1 / sample_rate)
    slope = np.clip((cutoff_hz - freqs_hz) / SLOPE_HZ + 0.5, 0, 1)
    limited = np.fft.irfft(np.fft.rfft(wave) * np.sin(np.pi / 2 * slope) ** 2, wave.shape[-1])
    return (np.rint(limited * 32768) / 32768).astype(np.float32)
