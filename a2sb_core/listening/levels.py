"""Audio of the stimuli: excerpts of equal loudness, and the anchor."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torchaudio.functional
from scipy.signal import fftconvolve, firwin, kaiserord

from a2sb_core.audio.arrays import FloatArray
from a2sb_core.errors import AudioError

LOUDNESS_LUFS = -23.0
"""Loudness of the stimuli (EBU R 128), which is lower if a peak would exceed ``PEAK``."""
PEAK = 10 ** (-1 / 20)
HEADROOM = 0.25
"""Highest peak of what is measured: the filters of torchaudio clip at full scale."""
GATE_LUFS = -69.9
"""Loudness below which nothing passes the absolute gate of BS.1770."""
FADE_S = 0.01
"""Fade at both ends of a stimulus, so that the loop does not click, in seconds."""
SHORTEST_S = 0.5
"""Shortest stimulus, in seconds; loudness is measured in blocks of 0.4 s."""
ANCHOR_BAND_HZ = (3500.0, 4000.0)
"""Edges of the pass band and the stop band of the anchor."""
ANCHOR_DB = 60.0


def excerpt(wave: FloatArray, sample_rate: int, seconds: float, clip: str = "") -> FloatArray:
    """Return the middle of a recording (C, T), at most ``seconds`` long, with fades at its ends.

    Raises:
        AudioError: the recording is too short to be a stimulus.
    """
    length = min(wave.shape[-1], round(seconds * sample_rate))
    if length < SHORTEST_S * sample_rate:
        raise AudioError(f"{clip} is shorter than {SHORTEST_S} s, too short for a listening test")
    start = (wave.shape[-1] - length) // 2
    part = wave[:, start : start + length].astype(np.float32)
    fade = np.sin(np.linspace(0, np.pi / 2, round(FADE_S * sample_rate), dtype=np.float32)) ** 2
    part[:, : len(fade)] *= fade
    part[:, -len(fade) :] *= fade[::-1]
    return part


def loudness_lufs(wave: FloatArray, sample_rate: int) -> float:
    """Return the integrated loudness of (C, T) audio in LUFS (ITU-R BS.1770); -inf for silence."""
    if wave.shape[0] > 5:
        raise AudioError(f"the loudness of {wave.shape[0]} channels is not defined (at most 5)")
    peak = float(np.abs(wave).max())
    scale = min(1.0, HEADROOM / peak) if peak else 1.0
    tensor = torch.from_numpy(np.ascontiguousarray(wave * np.float32(scale)))
    value = float(torchaudio.functional.loudness(tensor, sample_rate))
    if not math.isfinite(value) or value < GATE_LUFS:
        return -math.inf
    return value - 20 * math.log10(scale)


def match_levels(
    reference: FloatArray, stimuli: Mapping[str, FloatArray], sample_rate: int
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Bring a reference (C, T) and the stimuli of the same clip to one loudness.

    The whole group has ``LOUDNESS_LUFS``, or less if its highest peak would exceed ``PEAK``. A
    silent stimulus stays silent.

    Returns:
        The reference and the stimuli, scaled.

    Raises:
        AudioError: the reference is silent.
    """
    wanted = loudness_lufs(reference, sample_rate)
    if wanted == -math.inf:
        raise AudioError("its excerpt is silent")
    scaled = {}
    for name, wave in stimuli.items():
        own = loudness_lufs(wave, sample_rate)
        scaled[name] = wave * np.float32(1 if own == -math.inf else _gain(wanted - own))
    peak = max(float(np.abs(wave).max()) for wave in (reference, *scaled.values()))
    common = np.float32(min(_gain(LOUDNESS_LUFS - wanted), PEAK / peak))
    return reference * common, {name: wave * common for name, wave in scaled.items()}


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def anchor(wave: FloatArray, sample_rate: int) -> FloatArray:
    """Return (C, T) audio without what lies above 3.5 kHz, as the low anchor of ITU-R BS.1534.

    The filter has linear phase and is compensated for its delay. It attenuates by 60 dB from 4 kHz
    up, more than the 25 dB at 4 kHz and 50 dB at 4.5 kHz that BS.1534 asks for.

    Raises:
        AudioError: the sample rate has no room for the stop band.
    """
    low, high = ANCHOR_BAND_HZ
    if sample_rate <= 2 * high:
        raise AudioError(f"a sample rate of {sample_rate} Hz leaves no room for an anchor")
    taps, beta = kaiserord(ANCHOR_DB, (high - low) / (sample_rate / 2))
    taps |= 1  # an odd number has a delay of whole samples
    window = firwin(taps, (low + high) / 2, window=("kaiser", beta), fs=sample_rate)
    filtered: FloatArray = fftconvolve(wave, window[None], mode="same", axes=-1)
    return filtered.astype(np.float32)
