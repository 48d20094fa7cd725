"""Guess of the content above a cutoff: the octave below it, copied up at a predicted level."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Guess, Item, Stretches
from a2sb_tasks.envelope.prediction import REACH_FRAMES, predicted_power, smooth_power

FRAME = 2048
"""Samples of a frame of the spectrogram, at 44.1 kHz."""
SMALLEST_ROWS = 8
"""With fewer known rows there is no octave to copy: the guess is silence."""
LARGEST_GAIN_DB = 40.0
"""Most by which a copy is raised: what is nearly silent has no fine structure."""


class Replication(Guess):
    """Copies the octave below the cutoff upward, as often as it fits, or continues its harmonics.

    The content above the cutoff has the level that the envelope model predicts for its band and
    time. Copies have the fine structure of the octave; their phases advance as at the new
    frequencies, so that copies of tones are tones. Harmonics are those that a full-wave rectifier
    makes of the octave (Larsen and Aarts 2004), at multiples of the tones.
    """

    class Config(ComponentConfig):
        """Origin of the fine structure."""

        name: str = "replication"
        structure: Literal["octave", "harmonics"] = "octave"
        """Fine structure above the cutoff: copies of the ``octave`` below it (default), or the
        ``harmonics`` of that octave."""

    context_s = (REACH_FRAMES + 8) * FRAME / 4 / 44100

    def guess(self, item: Item, missing: Tensor, lost: Stretches) -> Tensor:
        """Return the encoding of the audio with the copies."""
        representation = item.representation
        length = max(1, item.wave.shape[-1])
        wave = representation.decode(item.z, length)
        rows = missing.flatten(0, 1).any(dim=0).any(dim=-1)
        if not bool(rows.any()):
            return item.z
        cutoff_hz = float(representation.grid(1).freqs_hz[int(rows.nonzero()[0])])
        filled = self._extended(wave, cutoff_hz, representation.sample_rate, item)
        return representation.encode(filled)[..., : item.z.shape[-1]]

    def _extended(self, wave: Tensor, cutoff_hz: float, sample_rate: int, item: Item) -> Tensor:
        """Return audio (B, T) with content above the cutoff."""
        hop = item.representation.stride
        size, length = 4 * hop, wave.shape[-1]
        first = math.ceil(cutoff_hz * size / sample_rate)
        if first < SMALLEST_ROWS or length <= size:
            return wave
        window = torch.hann_window(size, device=wave.device)
        spectrum = torch.stft(wave, size, hop, window=window, return_complex=True)
        row = torch.arange(spectrum.shape[1], device=wave.device)
        freqs_hz, known = (row * (sample_rate / size)).cpu(), (row < first)[:, None]
        # The model was trained with the density of a window of FRAME samples.
        density = FRAME / size
        power = spectrum.abs().square() * density
        measured, expected = predicted_power(power, known, freqs_hz, item.start)
        if self.config.structure == "harmonics":
            octave = spectrum.where((row >= first // 2)[:, None] & known, 0)
            rectified = torch.istft(octave, size, hop, window=window, length=length).abs()
            fine = torch.stft(rectified, size, hop, window=window, return_complex=True)
            level = smooth_power(fine.abs().square() * density, freqs_hz, item.start)
        else:
            source = first // 2 + (row - first) % (first - first // 2)
            fine, level = _moved(spectrum, source, item.start), measured[:, source]
        most = 10 ** (LARGEST_GAIN_DB / 10)
        fine = fine * (expected / level).clamp(max=most).sqrt()
        filled = torch.where(known, spectrum, fine)
        extended: Tensor = torch.istft(filled, size, hop, window=window, length=length)
        return extended


def _moved(spectrum: Tensor, source: Tensor, start: int) -> Tensor:
    """Return a spectrum (B, F, W) whose rows are those of ``source`` (F,), moved there."""
    row = torch.arange(spectrum.shape[1], device=spectrum.device)
    frame = start + torch.arange(spectrum.shape[-1], device=spectrum.device)
    # A hop is a quarter of the window, so that a row more turns by a quarter a frame.
    quarters = ((row - source)[:, None] * frame) % 4
    angle = quarters * (math.pi / 2)
    return spectrum[:, source] * torch.polar(torch.ones_like(angle), angle)
