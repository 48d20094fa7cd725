"""Mixing of stems with random level, equalizer, room and position, as no two productions are alike.

Waveforms are ``float32`` arrays of shape ``(frames, 2)`` with full scale at 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from audio_tools import SAMPLE_RATE, Wave

LEVEL_DB = 5.0
"""Largest change of the level of a stem, up or down."""
SHELF_DB = 6.0
"""Largest gain of the shelving equalizer above its corner frequency, up or down."""
CORNERS_HZ = (300.0, 5000.0)
"""Range of the corner frequency of the equalizer."""
POSITION_DB = 6.0
"""Largest difference of level between left and right that the position adds."""
ROOM_SHARE = 0.5
"""Share of the stems that stand in a room of their own."""
DECAY_S = (0.2, 1.2)
"""Range of the reverberation time (60 dB) of a room."""
ROOM_DB = (-24.0, -12.0)
"""Range of the energy of the reverberation relative to the stem."""


def remix(stems: Sequence[Wave], rng: np.random.Generator) -> Wave:
    """Change each stem at random and add them; the result is as long as the longest stem."""
    mixed = np.zeros((max(len(stem) for stem in stems), 2), dtype=np.float32)
    for stem in stems:
        changed = with_room(with_shelf(stem, rng), rng)
        level_db = rng.uniform(-LEVEL_DB, LEVEL_DB)
        apart_db = rng.uniform(-POSITION_DB, POSITION_DB) / 2
        gains = 10 ** ((level_db + np.array([apart_db, -apart_db])) / 20)
        mixed[: len(changed)] += (changed * gains).astype(np.float32)
    return mixed


def with_shelf(wave: Wave, rng: np.random.Generator) -> Wave:
    """Raise or lower the treble by a shelving filter of first order, without a delay."""
    gain_db, u = rng.uniform(-SHELF_DB, SHELF_DB), rng.random()
    corner_hz = CORNERS_HZ[0] * (CORNERS_HZ[1] / CORNERS_HZ[0]) ** u
    ratio = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE) / corner_hz
    gain = 10 ** (gain_db / 20 * ratio**2 / (1 + ratio**2))
    return np.fft.irfft(np.fft.rfft(wave, axis=0) * gain[:, None], len(wave), axis=0).astype(
        np.float32
    )


def with_room(wave: Wave, rng: np.random.Generator) -> Wave:
    """Add the reverberation of a random room to a share of the stems.

    The response of the room is stereo noise that decays exponentially. Its end is cut at the end of
    the stem.
    """
    if rng.random() >= ROOM_SHARE:
        return wave
    decay_s, room_db = rng.uniform(*DECAY_S), rng.uniform(*ROOM_DB)
    size = int(decay_s * SAMPLE_RATE)
    envelope = 10 ** (-3 * np.arange(size) / size)
    response = rng.standard_normal((size, 2)) * envelope[:, None]
    wet = _convolved(wave.mean(axis=1, keepdims=True), response)
    energy, own = float((wave**2).sum()), float((wet**2).sum())
    if own == 0.0:
        return wave
    gain = np.sqrt(energy / own) * 10 ** (room_db / 20)
    return (wave + gain * wet).astype(np.float32)


def _convolved(wave: Wave, response: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the convolution (T, 2) of audio (T, 1) with a response (N, 2), cut to T."""
    size = len(wave) + len(response)
    spectrum = np.fft.rfft(wave, size, axis=0) * np.fft.rfft(response, size, axis=0)
    return np.fft.irfft(spectrum, size, axis=0)[: len(wave)]
