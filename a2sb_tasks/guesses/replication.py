"""Guess of the content above a cutoff: the octave below it, copied up at a predicted level."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Guess, Item, Stretches
from a2sb_tasks.envelope.prediction import REACH_FRAMES, predicted_power

FRAME = 2048
"""Samples of a frame of the spectrogram, at 44.1 kHz."""
SMALLEST_ROWS = 8
"""With fewer known rows there is no octave to copy: the guess is silence."""
LARGEST_GAIN_DB = 40.0
"""Most by which a copy is raised: what is nearly silent has no fine structure."""


class Replication(Guess):
    """Copies the octave below the cutoff upward, as often as it fits.

    Each copy has the fine structure of the octave, and the level that the envelope model predicts
    for its band and time. Phases advance as at the new frequencies, so that copies of tones are
    tones.
    """

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "replication"

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
        """Return audio (B, T) with copies above the cutoff."""
        hop = item.representation.stride
        size, length = 4 * hop, wave.shape[-1]
        first = math.ceil(cutoff_hz * size / sample_rate)
        if first < SMALLEST_ROWS or length <= size:
            return wave
        window = torch.hann_window(size, device=wave.device)
        spectrum = torch.stft(wave, size, hop, window=window, return_complex=True)
        copies = self._copies(spectrum, first, sample_rate / size, item.start)
        spectrum = torch.cat([spectrum[:, :first], copies], dim=1)
        extended: Tensor = torch.istft(spectrum, size, hop, window=window, length=length)
        return extended

    def _copies(self, spectrum: Tensor, first: int, bin_hz: float, start: int) -> Tensor:
        """Return the copies from row ``first`` on, (B, F - first, W)."""
        row = torch.arange(spectrum.shape[1], device=spectrum.device)
        low = first // 2
        source = low + (row[first:] - first) % (first - low)
        size = 2 * (spectrum.shape[1] - 1)
        power = spectrum.abs().square() * (
            FRAME / size
        )  # the density that the model was trained on
        known = (row < first)[:, None]
        measured, expected = predicted_power(power, known, (row * bin_hz).cpu(), start)
        most = 10 ** (LARGEST_GAIN_DB / 10)
        gain = (expected[:, first:] / measured[:, source]).clamp(max=most).sqrt()
        frame = start + torch.arange(spectrum.shape[-1], device=spectrum.device)
        # A hop is a quarter of the window, so that a row more turns by a quarter a frame.
        quarters = ((row[first:] - source)[:, None] * frame) % 4
        turn = torch.polar(torch.ones_like(quarters, dtype=gain.dtype), quarters * (math.pi / 2))
        return spectrum[:, source] * gain * turn
