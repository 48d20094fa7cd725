"""Signals and small exact parts that the laws of other kinds are checked with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from a2sb_core.interfaces.bridge import Bridge, per_item
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.state import State
from a2sb_core.interfaces.types import Grid
from a2sb_core.plugins.component_config import ComponentConfig

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 44100


@dataclass(frozen=True)
class Call:
    """One use of a component, for the laws of every kind.

    Attributes:
        what: its name in messages.
        run: a function of ``inputs``.
        inputs: tensors, items along the first axis.
        is_batched: each item of the result depends on the same item of the inputs alone.
    """

    what: str
    run: Callable[..., Any]
    inputs: tuple[Tensor, ...] = ()
    is_batched: bool = True


def seeded(seed: int = 0) -> torch.Generator:
    """Return a new generator with a seed."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values."""
    return torch.randn(*shape, generator=seeded(seed))


def sound(length: int, items: int = 2, seed: int = 0) -> Tensor:
    """Noise (items, length) that fades at both ends and holds no lowest tenth of its band.

    A representation may leave out the lowest row, as those here do.
    """
    spectrum = torch.fft.rfft(normal(items, length, seed=seed).double())
    spectrum[:, : spectrum.shape[-1] // 10] = 0
    fade = length // 4
    u = (torch.arange(fade, dtype=torch.float64) + 0.5) / fade
    ramp = 0.5 - 0.5 * torch.cos(math.pi * u)
    window = torch.cat([ramp, torch.ones(length - 2 * fade), ramp.flip(0)])
    wave: Tensor = 0.2 * torch.fft.irfft(spectrum, length) * window
    return wave.float()


@cache
def music(seconds: float, rate: int = RATE, items: int = 2) -> Tensor:
    """A steady chord with all harmonics, and noise 30 dB below it, (items, T)."""
    samples = round(seconds * rate)
    spectrum = torch.zeros(samples // 2 + 1, dtype=torch.complex128)
    for hz in (110.0, 277.2, 392.0):
        k = torch.arange(1, int(rate / 2 / hz), dtype=torch.float64)
        # Phases of k^2 keep the harmonics from peaking at once.
        spectrum[(k * hz * seconds).round().long()] += torch.polar(0.05 * samples / k, k**2)
    chord: Tensor = torch.fft.irfft(spectrum, samples)
    return chord.float() + 0.006 * normal(items, samples, seed=8)


def region(items: int, rows: int, frames: int, seed: int = 0) -> Tensor:
    """Return what is missing, (items, 1, rows, frames): about a third, in whole frames and rows."""
    missing = torch.rand(items, 1, 1, frames, generator=seeded(seed)) < 0.3
    missing = missing.expand(items, 1, rows, frames).clone()
    missing[:, :, rows // 2 :, : frames // 2] = True
    missing[..., 0] = False
    return missing


class Spectra(Representation):
    """Spectra of stretches that do not overlap: exact, and a frame is its stretch."""

    class Config(ComponentConfig):
        """Size of a stretch, and the sample rate."""

        name: str = "spectra"
        size: int = 64
        """Samples of a stretch."""
        sample_rate: int = RATE
        """Sample rate of the audio, in Hz."""
        audio_channels: int = 1
        """Audio channels that are encoded as one item."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.sample_rate = self.config.sample_rate
        self.audio_channels = int(self.config.audio_channels)
        self.channels = 2 * self.audio_channels
        self.stride = self.context = int(self.config.size)
        self.rows = self.stride // 2 + 1

    def frames(self, length: int) -> int:
        """Return how many stretches hold ``length`` samples."""
        return -(-length // self.stride)

    def encode(self, wave: Tensor) -> Tensor:
        """Encode (B C, T) into real and imaginary part of C channels, (B, 2 C, F, W)."""
        padding = self.frames(wave.shape[-1]) * self.stride - wave.shape[-1]
        padded = torch.nn.functional.pad(wave, (0, padding))
        stretches = padded.reshape(len(wave), -1, self.stride)
        spectrum = torch.fft.rfft(stretches, norm="ortho")
        z = torch.view_as_real(spectrum).permute(0, 3, 2, 1)
        return z.reshape(-1, self.channels, *z.shape[2:])

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`."""
        z = z.reshape(-1, 2, *z.shape[2:])
        spectrum = torch.complex(z[:, 0], z[:, 1]).mT
        stretches: Tensor = torch.fft.irfft(spectrum, self.stride, norm="ortho")
        return stretches.flatten(-2)[:, :length]

    def grid(self, length: int) -> Grid:
        """Frequencies of the transform; times of the middles."""
        number = torch.arange(self.frames(length), dtype=torch.float64)
        frame_s = self.stride / self.sample_rate
        freqs_hz = torch.arange(self.rows) / frame_s
        return Grid(self.sample_rate, freqs_hz, (number + 0.5) * frame_s, frame_s)


class Steady(Bridge):
    """Noise of constant diffusion around a line."""

    class Config(ComponentConfig):
        """No settings."""

        name: str = "steady"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return 1 - t, t and the root of t (1 - t)."""
        return 1 - t, t, (t * (1 - t)).sqrt()


def as_network(xt: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
    """Stand for a network: each value of the answer depends on that value of the input and t."""
    shown = 0.0 if condition is None else condition.mean(dim=1, keepdim=True)
    return torch.tanh(xt * (1 + per_item(t, xt)) + 0.5 * shown)


def as_denoiser(state: State) -> Tensor:
    """Stand for a denoiser, likewise value by value."""
    return torch.tanh(0.5 * state.xt + 0.25 * state.x1) * (1 - 0.5 * per_item(state.t, state.xt))
