"""Representation: audio to the plane in which the bridge runs, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Grid


class Representation(Component, nn.Module, ABC):
    """An invertible map between audio and a (channels, frequency, time) array.

    Rows and frames lie on a :class:`Grid`, so that corruptions speak Hz and seconds and work on
    any representation.

    Attributes:
        channels: representation channels ch.
        sample_rate: Hz of the audio it works on.
        rows: rows F of the encoded array.
        stride: samples between frames.
        context: samples of audio on each side that a frame depends on, and the samples on each
            side of its middle that depend on a frame.
        refine_context: frames on each side that :meth:`refine` looks at.

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
        ...         times = torch.arange(self.frames(length)) * 4 / 44100
        ...         return Grid(44100, torch.arange(4) * 5512.5, times, 4 / 44100)
        >>> samples, wave = Samples.Config().build(), torch.randn(2, 10)
        >>> z = samples.encode(wave)
        >>> z.shape, bool((samples.decode(z, 10) == wave).all())
        (torch.Size([2, 1, 4, 3]), True)
    """

    kind = "representation"

    channels: int
    sample_rate: int
    rows: int
    stride: int
    context: int
    refine_context: int = 0

    @abstractmethod
    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B, T) into (B, ch, F, W), W = ``frames(T)``; any T from 1 up."""

    @abstractmethod
    def decode(self, z: Tensor, length: int) -> Tensor:
        """Decode (B, ch, F, W) into audio (B, ``length``); the inverse of :meth:`encode`."""

    @abstractmethod
    def frames(self, length: int) -> int:
        """Return how many frames W ``length`` samples give."""

    @abstractmethod
    def grid(self, length: int) -> Grid:
        """Return the frequencies and times of ``encode`` of ``length`` samples."""

    def project(self, z: Tensor) -> Tensor:
        """Map an array of the network to the nearest valid one; idempotent. Default: as it is."""
        return z

    def refine(self, z: Tensor, missing: Tensor | None, length: int) -> Tensor:
        """Make restored content consistent with its surroundings, as a last step before decoding.

        What is not ``missing`` must come back unchanged. Default: as it is.
        """
        return z
