"""Noises, low-passes of three kinds, and the names in a folder."""

from functools import lru_cache

import numpy as np
import soxr

RATE = 44100
TAPS = 4095


@lru_cache(maxsize=8)
def noise(kind="white", seconds=3.0, rate=RATE, channels=1, seed=0):
    """Noise of peak 0.5 whose power falls by 0, 3 or 6 dB an octave above 20 Hz."""
    samples = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((channels, samples)))
    slope = {"white": 0.0, "pink": 0.5, "music": 1.0}[kind]
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20.0) ** -slope
    wave = np.fft.irfft(spectrum, samples)
    return 0.5 * wave / np.abs(wave).max()


def by_resampling(wave, edge_hz, rate=RATE):
    low = soxr.resample(wave.T, rate, 2 * edge_hz, quality="VHQ")
    return soxr.resample(low, 2 * edge_hz, rate, quality="VHQ").T[:, : wave.shape[1]]


def by_fft(wave, edge_hz, rate=RATE):
    spectrum = np.fft.rfft(wave)
    spectrum[:, np.fft.rfftfreq(wave.shape[1], 1 / rate) > edge_hz] = 0
    return np.fft.irfft(spectrum, wave.shape[1])


def by_fir(wave, edge_hz, rate=RATE):
    ratio = 2 * edge_hz / rate
    taps = ratio * np.sinc(ratio * (np.arange(TAPS) - TAPS // 2)) * np.blackman(TAPS)
    size = wave.shape[1] + TAPS - 1
    filtered = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(taps, size), size)
    return filtered[:, TAPS // 2 : TAPS // 2 + wave.shape[1]]


LOW_PASSES = {"resampled": by_resampling, "fft": by_fft, "fir": by_fir}


@lru_cache(maxsize=8)
def limited(low_pass, edge_hz, kind="music", seconds=3.0, rate=RATE, channels=1):
    return LOW_PASSES[low_pass](noise(kind, seconds, rate, channels), edge_hz, rate)


def tone(freq_hz, amplitude, samples, rate=RATE):
    return amplitude * np.sin(2 * np.pi * freq_hz * np.arange(samples) / rate)


def with_bass(wave):
    """Add a 60 Hz tone 20 dB above the signal, and keep the peak at 0.9."""
    amplitude = 10 * np.sqrt(2 * np.mean(wave**2))
    mixed = wave + tone(60.0, amplitude, wave.shape[1])
    return 0.9 * mixed / np.abs(mixed).max()


def half_silent(wave):
    silenced = wave.copy()
    silenced[:, wave.shape[1] // 2 :] = 0
    return silenced


def quantized(wave):
    return np.round(wave * 32768) / 32768


def dithered(wave):
    random = np.random.default_rng(1)
    noise = random.random(wave.shape) - random.random(wave.shape)
    return np.round(wave * 32768 + noise) / 32768


def hissing(wave, dbfs=-70.0):
    hiss = np.random.default_rng(2).standard_normal(wave.shape)
    return wave + hiss * 10 ** (dbfs / 20)


CONDITIONS = {
    "as it is": lambda wave: wave,
    "bass": with_bass,
    "half silent": half_silent,
    "16 bit": quantized,
    "16 bit dithered": dithered,
    "bass, 16 bit dithered": lambda wave: dithered(with_bass(wave)),
    "half silent, 16 bit dithered": lambda wave: dithered(half_silent(wave)),
    "hiss": hissing,
}


def random_wave(channels=2, samples=3000, peak=0.9):
    """White noise (channels, samples) in float32, uniform from -peak to peak."""
    wave = np.random.default_rng(samples).uniform(-peak, peak, (channels, samples))
    return wave.astype(np.float32)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())
