"""Representation: an invertible map between audio and the tensors of the bridge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Grid


class Representation(Component, nn.Module, ABC):
    """An invertible map between audio and a (channels, frequency, time) array.

    A :class:`Grid` gives the frequencies of rows and the times of frames, so that corruptions are
    stated in Hz and seconds and work with any representation.

    Attributes:
        channels: number of representation channels, ch.
        audio_channels: number of audio channels C that are encoded together as one item.
        sample_rate: sample rate of the audio, in Hz.
        rows: number of rows F of the encoded array.
        stride: number of samples between frames.
        context: largest distance, in samples, between the middle of a frame and the samples that
            it depends on or that depend on it.
        refine_context: number of frames on each side that :meth:`refine` uses.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Grid, Representation
        >>> class Samples(Representation):
        ...     '''Audio cut into frames of four samples; the samples are the rows.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "samples"
        ...     channels, sample_rate, rows, stride, context = 1, 44100, 4, 4, 4
        ...     def frames(self, length):
        ...         return -(-length // 4)
        ...     def encode(self, wave):
        ...         pad = self.frames(wave.shape[-1]) * 4 - wave.shape[-1]
        ...         wave = torch.nn.functional.pad(wave, (0, pad))
        ...         return wave.unflatten(-1, (-1, 4)).mT[:, None]
        ...     def decode(self, z, length):
        ...         return z[:, 0].mT.flatten(-2)[:, :length]
        ...     def grid(self, length):
        ...         times = (torch.arange(self.frames(length)) + 0.5) * 4 / 44100
        ...         return Grid(44100, torch.arange(4) * 5512.5, times, 4 / 44100)
        >>> samples, wave = Samples.Config().build(), torch.randn(2, 10)
        >>> z = samples.encode(wave)
        >>> z.shape, bool((samples.decode(z, 10) == wave).all())
        (torch.Size([2, 1, 4, 3]), True)
    """

    kind = "representation"

    channels: int
    audio_channels: int = 1
    sample_rate: int
    rows: int
    stride: int
    context: int
    refine_context: int = 0

    @abstractmethod
    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B, T) into (B, ch, F, W), W = ``frames(T)``, for any T >= 1.

        With several ``audio_channels`` C, the audio is (B C, T): rows b C to b C + C - 1 are the
        channels of item b.
        """

    @abstractmethod
    def decode(self, z: Tensor, length: int) -> Tensor:
        """Decode (B, ch, F, W) into audio (B C, ``length``); the inverse of :meth:`encode`."""

    @abstractmethod
    def frames(self, length: int) -> int:
        """Return the number of frames W of ``length`` samples."""

    @abstractmethod
    def grid(self, length: int) -> Grid:
        """Return the frequencies and times of the encoding of ``length`` samples."""

    def project(self, z: Tensor) -> Tensor:
        """Map an array to the nearest valid one; the map is idempotent (default: the identity)."""
        return z

    def diagnostics(self, z: Tensor) -> Mapping[str, Tensor]:
        """Return values that measure the validity of an array (default: none).

        Args:
            z: (B, ch, F, W), decoded frames before :meth:`project`: restored and known content.

        Returns:
            Values (N,) on the CPU by name, those of the restored content only. Frequencies (N,) in
            Hz under the same name with ``_hz`` appended let evaluations sort them into bands.
        """
        return {}

    def refine(self, z: Tensor, missing: Tensor | None, length: int) -> Tensor:
        """Make restored content consistent with its surroundings, as a last step before decoding.

        Content that is not ``missing`` must stay unchanged. By default all content does.
        """
        return z
