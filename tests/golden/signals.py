"""Signals of the cases: an excerpt of music and seeded noise, and ways to damage them.

Waves have shape (channels, samples) and full scale 1.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

Wave = npt.NDArray[np.float64]

HERE = Path(__file__).parent
RATE = 44100


@cache
def excerpt() -> Wave:
    """Return two seconds of music, stereo, at 44.1 kHz."""
    return np.asarray(soundfile.read(HERE / "excerpt.flac")[0].T)


def long_excerpt() -> Wave:
    """Return six seconds, mono: longer than what is read of a file at once, and a window."""
    left, right = excerpt()
    return np.concatenate([left, right, left[::-1]])[None]


def noise(slope: float = 0.0, seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> Wave:
    """Return mono noise of peak 0.5 whose amplitude falls with frequency to the power ``slope``."""
    samples = round(seconds * rate)
    # RandomState is frozen: it gives the same numbers in every version of NumPy.
    spectrum = np.fft.rfft(np.random.RandomState(seed).standard_normal((1, samples)))
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20.0) ** -slope
    wave = np.fft.irfft(spectrum, samples)
    return np.asarray(0.5 * wave / np.abs(wave).max())


def low_passed(wave: Wave, cutoff_hz: float, rate: int = RATE) -> Wave:
    """Remove everything above a cutoff, by FFT."""
    spectrum = np.fft.rfft(wave)
    spectrum[:, np.fft.rfftfreq(wave.shape[1], 1 / rate) > cutoff_hz] = 0
    return np.asarray(np.fft.irfft(spectrum, wave.shape[1]))


def fir_low_passed(wave: Wave, cutoff_hz: float, rate: int = RATE) -> Wave:
    """Remove what lies above a cutoff by a filter of 4095 taps, with its transition band."""
    ratio, taps = 2 * cutoff_hz / rate, np.arange(4095) - 2047
    kernel = ratio * np.sinc(ratio * taps) * np.blackman(4095)
    size = wave.shape[1] + 4094
    filtered = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(kernel, size), size)
    return np.asarray(filtered[:, 2047 : 2047 + wave.shape[1]])


def rolled_off(wave: Wave, db_per_octave: float, rate: int = RATE) -> Wave:
    """Attenuate gradually above 3 kHz."""
    spectrum = np.fft.rfft(wave)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(wave.shape[1], 1 / rate) / 3000, 1.0))
    return np.asarray(np.fft.irfft(spectrum * 10 ** (-db_per_octave * octaves / 20)))


def resampled(wave: Wave, rate: int) -> Wave:
    """Change the sample rate from 44.1 kHz, by FFT."""
    samples = wave.shape[1] * rate // RATE
    return np.asarray(np.fft.irfft(np.fft.rfft(wave), samples) * samples / wave.shape[1])


def tone(freq_hz: float, amplitude: float, samples: int, rate: int = RATE) -> Wave:
    """Return a sine tone, mono."""
    return np.asarray(amplitude * np.sin(2 * np.pi * freq_hz * np.arange(samples) / rate))[None]


def dithered(wave: Wave) -> Wave:
    """Quantize to 16 bits, with triangular dither."""
    random = np.random.RandomState(1)
    dither = random.random_sample(wave.shape) - random.random_sample(wave.shape)
    return np.asarray(np.round(wave * 32768 + dither) / 32768)


def silenced(wave: Wave, *stretches: tuple[int, int], value: float = 0.0) -> Wave:
    """Set stretches of samples to a value."""
    damaged = wave.copy()
    for start, end in stretches:
        damaged[:, start:end] = value
    return damaged


def stuck(wave: Wave, start: int, end: int) -> Wave:
    """Hold the value of a sample in the first channel."""
    damaged = wave.copy()
    damaged[0, start:end] = damaged[0, start - 1]
    return damaged


def clicked(wave: Wave, *places: int, samples: int = 12, height: float = 0.6) -> Wave:
    """Add decaying clicks to all channels."""
    damaged = wave.copy()
    for place in places:
        damaged[:, place : place + samples] += height * np.exp(-np.arange(samples) / 4)
    return damaged


def with_pause(wave: Wave, start: int, fade: int, pause: int) -> Wave:
    """Let the sound decay into a pause, and grow out of it: no damage."""
    changed, curve = wave.copy(), np.exp(-np.linspace(0, 12, fade))
    changed[:, start : start + fade] *= curve
    changed[:, start + fade : start + fade + pause] = 0
    changed[:, start + fade + pause : start + 2 * fade + pause] *= curve[::-1]
    return changed


def write(path: Path, wave: Wave, rate: int = RATE, subtype: str = "FLOAT") -> Path:
    """Write a file; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave.T, rate, subtype=subtype)
    return path
