"""Lossy coding: audio that is encoded by a codec and decoded again."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import soundfile
import soxr
import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, FrozenConfig, Noise, WaveformCorruption
from a2sb_tasks.corruptions.drawing import ascending

Coding = Literal["mp3", "vorbis", "opus"]

_CONTAINERS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
_OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_RATES = {"mp3": _MP3_RATES, "opus": _OPUS_RATES}
_OTHER_RATE = 48_000  # for audio whose sample rate a codec does not support


class Codec(WaveformCorruption["Codec.Parameters"]):
    """Encodes each channel to MP3, Ogg Vorbis or Opus in memory, and decodes it.

    libsndfile does the coding. The audio keeps its length and its position in time.
    """

    task = "codec"

    class Config(ComponentConfig):
        """Codecs and levels of compression that training draws.

        A level of 0 is the best quality of the codec, and 1 is its smallest file. For one channel
        of music, this corresponds to about 130 to 40 kbit/s for MP3, 240 to 60 for Vorbis, and 260
        to 8 for Opus.
        """

        name: str = "codec"
        codecs: tuple[Coding, ...] = Field(("mp3", "vorbis", "opus"), min_length=1)
        """Codecs that are drawn."""
        low: float = Field(0.4, ge=0, le=1)
        """Lowest level of compression."""
        high: float = Field(1.0, ge=0, le=1)
        """Highest level of compression."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low", "high")

    class Parameters(FrozenConfig):
        """Codec and compression of the audio, which a restoration does not need."""

        coding: Coding | None = None
        """Codec of the audio; without it, the audio is not encoded."""
        compression: float | None = Field(None, ge=0, le=1)
        """Level of compression from 0 to 1 (default: 0)."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Codecs, and the range of the level of compression."""
        config = self.config
        return {"coding": config.codecs, "compression": (config.low, config.high)}

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Encode and decode audio (B, T), item by item."""
        if parameters.coding is None:
            return wave.clone()
        level = parameters.compression or 0.0
        items = wave.detach().cpu().float().numpy()
        coded = [_coded(x, sample_rate, parameters.coding, level) for x in items]
        return torch.from_numpy(np.stack(coded)).to(wave)


def _coded(wave: np.ndarray, sample_rate: int, coding: Coding, compression: float) -> np.ndarray:
    """Encode and decode samples (T,)."""
    rate = sample_rate if sample_rate in _RATES.get(coding, (sample_rate,)) else _OTHER_RATE
    sent = wave if rate == sample_rate else soxr.resample(wave, sample_rate, rate)
    container, subtype = _CONTAINERS[coding]
    file = io.BytesIO()
    soundfile.write(
        file,
        sent,
        rate,
        format=container,
        subtype=subtype,
        compression_level=min(compression, 0.99),  # libsndfile rejects a level of 1 for MP3
    )
    file.seek(0)
    back, _ = soundfile.read(file, dtype="float32")
    if rate != sample_rate:
        back = soxr.resample(back, rate, sample_rate)
    kept = back[: len(wave)]
    return np.pad(kept, (0, len(wave) - len(kept)))
