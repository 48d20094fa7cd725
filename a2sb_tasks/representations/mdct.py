"""The modified discrete cosine transform: one real channel without redundancy."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor, nn

from a2sb_core.interfaces import ComponentConfig, Grid, Representation


class MDCT(Representation):
    """Lapped cosine transform with time-domain alias cancellation (Princen et al. 1987).

    Frame k is computed from the 2N samples around sample k N, N = ``rows``:

        X[m] = sqrt(2/N) sum_n w[n] x[n] cos(pi/N (n + (N + 1)/2) (m + 1/2))

    with w[n]^2 + w[n + N]^2 = 1. It is an orthonormal basis of N values for N samples, and the
    transposed sum decodes. The audio counts as silent before its start and after its end.
    """

    class Config(ComponentConfig):
        """Settings of rows, window and compression."""

        name: str = "mdct"
        rows: int = Field(1024, ge=2, le=2**19, multiple_of=2)
        """Number of rows N, which is also the hop in samples."""
        window: Literal["sine", "kbd"] = "sine"
        """Window: ``sine``, or ``kbd`` (Kaiser-Bessel derived), which has less leakage of loud
        tones to distant frequencies."""
        kbd_alpha: FiniteFloat = Field(4.0, gt=0, le=1000)
        """Shape parameter of the window ``kbd``."""
        power: FiniteFloat = Field(0.5, gt=0, le=1)
        """Exponent p of the compression of the values, sign(X) |X|^p; 1 disables it. The values of
        music span a hundred dB."""
        sample_rate: int = Field(44100, ge=1000, le=1_000_000)
        """Sample rate of the audio, in Hz."""

    channels = 1
    window: Tensor
    twiddle: Tensor

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.sample_rate = self.config.sample_rate
        self.rows = self.stride = self.context = self.config.rows
        is_sine, alpha = self.config.window == "sine", self.config.kbd_alpha
        window = _sine(self.rows) if is_sine else _kaiser_bessel(self.rows, alpha)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("twiddle", _twiddle(self.rows), persistent=False)

    def frames(self, length: int) -> int:
        """Return 1 + ceil(length / N): each sample lies in two frames."""
        return 1 - -length // self.stride

    def grid(self, length: int) -> Grid:
        """Return rows at odd multiples of sample rate/(4N), and frames at multiples of N."""
        number = torch.arange(self.frames(length), dtype=torch.float64)
        return Grid(
            sample_rate=self.sample_rate,
            freqs_hz=(torch.arange(self.rows) + 0.5) * (self.sample_rate / (2 * self.rows)),
            times_s=number * (self.stride / self.sample_rate),
            frame_s=2 * self.rows / self.sample_rate,
        )

    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B, T) into (B, 1, N, W)."""
        n, frames = self.rows, self.frames(wave.shape[-1])
        padded = nn.functional.pad(wave, (n, frames * n - wave.shape[-1]))
        a, b, c, d = (padded.unfold(-1, 2 * n, n) * self.window).chunk(4, dim=-1)
        folded = torch.cat([-c.flip(-1) - d, a - b.flip(-1)], dim=-1)
        values = self._dct4(folded).mT[:, None]
        return _powered(values, self.config.power)

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`, (B, length)."""
        values = _powered(z[:, 0], 1 / self.config.power)
        u, v = self._dct4(values.mT).chunk(2, dim=-1)
        stretches = torch.cat([v, -v.flip(-1), -u.flip(-1), -u], dim=-1) * self.window
        early, late = stretches.chunk(2, dim=-1)
        return (late[:, :-1] + early[:, 1:]).flatten(-2)[:, :length]

    def _dct4(self, x: Tensor) -> Tensor:
        """Apply the cosine transform of type IV to (..., N), by an FFT of N/2; its own inverse."""
        pairs = torch.complex(x[..., ::2], x.flip(-1)[..., ::2])
        y = torch.fft.fft(pairs * self.twiddle, norm="ortho") * self.twiddle
        return torch.stack([y.real, -y.imag.flip(-1)], dim=-1).flatten(-2)


def _powered(x: Tensor, power: float) -> Tensor:
    return x if power == 1 else x.sign() * x.abs() ** power


def _sine(rows: int) -> Tensor:
    return torch.sin(math.pi / (2 * rows) * (torch.arange(2 * rows, dtype=torch.float64) + 0.5))


def _kaiser_bessel(rows: int, alpha: float) -> Tensor:
    """Return the square root of the cumulative sum of a Kaiser window, and its mirror image."""
    kaiser = torch.kaiser_window(
        rows + 1, periodic=False, beta=math.pi * alpha, dtype=torch.float64
    )
    total = kaiser.cumsum(0)
    rising = (total[:-1] / total[-1]).sqrt()
    return torch.cat([rising, rising.flip(0)])


def _twiddle(rows: int) -> Tensor:
    """Return exp(-i pi (n + 1/8) / N), n < N/2."""
    angle = -math.pi / rows * (torch.arange(rows // 2, dtype=torch.float64) + 0.125)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
