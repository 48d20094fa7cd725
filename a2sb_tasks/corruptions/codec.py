"""Lossy coding: audio encoded by a real codec and decoded again."""

from __future__ import annotations

import io
from typing import Any, Literal, Self

import numpy as np
import soundfile
import soxr
import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending, uniform

Coding = Literal["mp3", "vorbis", "opus"]

_CONTAINERS = {
    "mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
}
_OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_RATES = {"mp3": _MP3_RATES, "opus": _OPUS_RATES}
_OTHER_RATE = 48_000  # at which audio is encoded whose rate a codec does not know


class Codec(WaveformCorruption):
    """Encodes to MP3, Ogg Vorbis or Opus in memory and decodes, each channel for itself.

    The work is libsndfile's; the audio keeps its length and its place in time.
    """

    task = "codec"

    class Config(ComponentConfig):
        """Training draws a codec and a level of compression.

        0 is the codec's best quality, 1 its smallest file: for music in one channel from about
        130 down to 40 kbit/s of MP3, 240 to 60 of Vorbis, and 260 to 8 of Opus.
        """

        name: str = "codec"
        codecs: tuple[Coding, ...] = Field(("mp3", "vorbis", "opus"), min_length=1)
        """Codecs that are drawn."""
        low: float = Field(0.4, ge=0, le=1)
        """Lowest compression drawn."""
        high: float = Field(1.0, ge=0, le=1)
        """Highest compression drawn."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low", "high")

    class Parameters(FrozenConfig):
        """What encoded the audio, and how hard; to restore, it need not be known."""

        coding: Coding | None = None
        """The codec."""
        compression: float | None = Field(None, ge=0, le=1)
        """0 to 1; 0 by default."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a codec and a level of compression."""
        codecs = self.config.codecs
        number = int(torch.randint(len(codecs), (), generator=generator))
        level = uniform(self.config.low, self.config.high, generator)
        return self.Parameters(coding=codecs[number], compression=level)

    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Encode and decode audio (B, T), item by item."""
        if parameters.coding is None:
            return wave.clone()
        level = parameters.compression or 0.0
        items = wave.detach().cpu().float().numpy()
        coded = [_coded(x, sample_rate, parameters.coding, level) for x in items]
        return torch.from_numpy(np.stack(coded)).to(wave)


def _coded(wave: np.ndarray, sample_rate: int, coding: Coding, compression: float) -> np.ndarray:
    """Return samples (T,) as they come back from the codec."""
    rate = sample_rate if sample_rate in _RATES.get(coding, (sample_rate,)) else _OTHER_RATE
    sent = wave if rate == sample_rate else soxr.resample(wave, sample_rate, rate)
    container, subtype = _CONTAINERS[coding]
    file = io.BytesIO()
    soundfile.write(
        file, sent, rate, format=container, subtype=subtype,
        compression_level=min(compression, 0.99),  # at 1 itself libsndfile refuses MP3
    )
    file.seek(0)
    back, _ = soundfile.read(file, dtype="float32")
    if rate != sample_rate:
        back = soxr.resample(back, rate, sample_rate)
    kept = back[: len(wave)]
    return np.pad(kept, (0, len(wave) - len(kept)))
