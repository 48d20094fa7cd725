"""Signals and small exact parts that the laws of other kinds are checked with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from a2sb_core.config.component import ComponentConfig
from a2sb_core.interfaces.bridge import Bridge, per_item
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.types import Gaussian, Grid

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
    """Return a generator of its own."""
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
        """Size of a stretch."""

        name: str = "spectra"
        size: int = 64
        """Samples of a stretch."""

    channels, sample_rate = 2, RATE

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.stride = self.context = int(self.config.size)
        self.rows = self.stride // 2 + 1

    def frames(self, length: int) -> int:
        """Return how many stretches hold ``length`` samples."""
        return -(-length // self.stride)

    def encode(self, wave: Tensor) -> Tensor:
        """Encode (B, T) into real and imaginary part, (B, 2, F, W)."""
        padding = self.frames(wave.shape[-1]) * self.stride - wave.shape[-1]
        padded = torch.nn.functional.pad(wave, (0, padding))
        stretches = padded.reshape(len(wave), -1, self.stride)
        spectrum = torch.fft.rfft(stretches, norm="ortho")
        return torch.view_as_real(spectrum).permute(0, 3, 2, 1).contiguous()

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`."""
        spectrum = torch.complex(z[:, 0], z[:, 1]).mT
        stretches: Tensor = torch.fft.irfft(spectrum, self.stride, norm="ortho")
        return stretches.flatten(-2)[:, :length]

    def grid(self, length: int) -> Grid:
        """Frequencies of the transform; times of the middles."""
        number = torch.arange(self.frames(length), dtype=torch.float64)
        return Grid(
            RATE, torch.arange(self.rows) * (RATE / self.stride),
            (number + 0.5) * self.stride / RATE, self.stride / RATE,
        )


class Brownian(Bridge):
    """The Brownian bridge."""

    class Config(ComponentConfig):
        """No settings."""

        name: str = "brownian"

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return 1 - t, t and the root of t (1 - t)."""
        return 1 - t, t, (t * (1 - t)).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        """Return the root of t."""
        return t.sqrt()

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """Return the bridge between x0 and x_t at s."""
        r = per_item(s / t, xt)
        return Gaussian((1 - r) * x0 + r * xt, per_item(s, xt) * (1 - r))


def as_network(xt: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
    """Stand for a network: each value of the answer depends on that value of the input and t."""
    told = 0.0 if condition is None else condition.mean(dim=1, keepdim=True)
    return torch.tanh(xt * (1 + per_item(t, xt)) + 0.5 * told)


def as_denoiser(xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None) -> Tensor:
    """Stand for a denoiser, likewise value by value."""
    return torch.tanh(0.5 * xt + 0.25 * x1) * (1 - 0.5 * per_item(t, xt))
