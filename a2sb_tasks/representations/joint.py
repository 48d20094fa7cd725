"""Several audio channels as one item, so that a model restores them together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    AnyRepresentation,
    ComponentConfig,
    ConfigError,
    Grid,
    Representation,
)


class Joint(Representation):
    """Stacks the encodings of consecutive audio channels along the representation channels.

    Rows b C to b C + C - 1 of the audio (B C, T) are the channels of item b, whose encoding is
    (B, C ch, F, W), where ch is the number of channels of ``inner``. Everything else is that of
    ``inner``.
    """

    class Config(ComponentConfig):
        """The representation of each channel, and the number of channels."""

        name: str = "joint"
        inner: AnyRepresentation
        """Representation of one audio channel."""
        audio_channels: int = Field(2, ge=2, le=16)
        """Number of audio channels that are encoded together (default: 2)."""
        mid_side: bool = True
        """Encode the middle (L + R)/sqrt 2 and the side (L - R)/sqrt 2 of two channels instead of
        the channels themselves (default: true)."""

        @model_validator(mode="after")
        def _check(self) -> Self:
            if self.mid_side and self.audio_channels != 2:
                raise ValueError("mid_side needs two audio channels: set mid_side: false")
            return self

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.inner: Representation = self.config.inner.build()
        if self.inner.audio_channels > 1:
            raise ConfigError("joint.inner must be a representation of one audio channel")
        self.audio_channels = int(self.config.audio_channels)
        self.channels = self.audio_channels * self.inner.channels
        self.sample_rate, self.rows = self.inner.sample_rate, self.inner.rows
        self.stride, self.context = self.inner.stride, self.inner.context
        self.refine_context = self.inner.refine_context

    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B C, T) into (B, C ch, F, W)."""
        return self._stacked(self.inner.encode(self._rotated(wave)))

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`."""
        return self._rotated(self.inner.decode(self._apart(z), length))

    def frames(self, length: int) -> int:
        """Return the number of frames of ``inner``."""
        return self.inner.frames(length)

    def grid(self, length: int) -> Grid:
        """Return the grid of ``inner``."""
        return self.inner.grid(length)

    def project(self, z: Tensor) -> Tensor:
        """Project each channel."""
        return self._stacked(self.inner.project(self._apart(z)))

    def diagnostics(self, z: Tensor) -> Mapping[str, Tensor]:
        """Return the diagnostics of all channels."""
        return self.inner.diagnostics(self._apart(z))

    def refine(self, z: Tensor, missing: Tensor | None, length: int) -> Tensor:
        """Refine each channel; what is missing is missing in all channels."""
        if missing is not None:
            missing = missing.expand(len(z), *missing.shape[1:])
            missing = missing.repeat_interleave(self.audio_channels, dim=0)
        return self._stacked(self.inner.refine(self._apart(z), missing, length))

    def _apart(self, z: Tensor) -> Tensor:
        """Convert items (B, C ch, F, W) to channels (B C, ch, F, W)."""
        return z.reshape(-1, self.inner.channels, *z.shape[2:])

    def _stacked(self, z: Tensor) -> Tensor:
        """Invert :meth:`_apart`."""
        return z.reshape(-1, self.channels, *z.shape[2:])

    def _rotated(self, wave: Tensor) -> Tensor:
        """Convert left and right (2 B, T) to middle and side, or back; the map is its inverse."""
        if not self.config.mid_side:
            return wave
        left, right = wave[0::2], wave[1::2]
        pair = torch.stack([left + right, left - right], dim=1) / math.sqrt(2)
        return pair.flatten(0, 1)
