"""Embeddings of the time, of the frequency band of each row, and of positions.

They are those of section 3.4 of the paper. All tables are float32.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

_BAND_PI = 3.14  # the published network was trained with this value in place of pi


def time_embedding(t: Tensor, channels: int) -> Tensor:
    """Embed times t (B,) as (B, ``channels``): sin(t m), then cos(t m), m = linspace(0.5, 16)."""
    angles = t.float()[:, None] * _time_multipliers(channels // 2, t.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


@lru_cache(maxsize=16)
def _time_multipliers(count: int, device: torch.device) -> Tensor:
    return _constant(torch.linspace(0.5, 16, count), device)


@lru_cache(maxsize=64)
def band_embedding(rows: int, channels: int, device: torch.device) -> Tensor:
    """Embed the position i/N of each of N = ``rows`` rows, (``channels``, ``rows``).

    This is the condition C[i, j] = i/N of section 3.4: cos(k i 2 pi / (3 N)) for k = 1 ...
    ``channels``/2, then the sines. It is the same in every frame, so that the network is
    equivariant in time.
    """
    k = torch.arange(1, channels // 2 + 1)[:, None]
    angles = k * torch.arange(rows) * (2 * _BAND_PI / (3 * rows))
    return _constant(torch.cat([angles.cos(), angles.sin()]), device)


@lru_cache(maxsize=64)
def _positions(count: int, device: torch.device) -> Tensor:
    return _constant(torch.linspace(-1, 1, count), device)


def _constant(table: Tensor, device: torch.device) -> Tensor:
    """Move a table to a device such that autograd can save it, even in inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        return table.clone().to(device)


class AxialRotary(nn.Module):
    """Two-dimensional rotary position embedding with learnable frequencies.

    With n frequencies, the first 2n channels of a head rotate with the row and the next 2n with the
    frame; the other channels are unchanged. Positions range from -1 to 1 along each axis.

    Args:
        frequencies: number of frequencies n, with the initial values pi linspace(1, 32, n).
    """

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        initial = torch.pi * torch.linspace(1, 32, frequencies, device="cpu")
        self.freqs = nn.Parameter(initial.to(torch.get_default_device()))
        self._made: tuple[tuple[object, ...], tuple[Tensor, Tensor]] | None = None

    def tables(self, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of all positions, each (``rows``, ``frames``, 4n), float32.

        Outside of training they are cached for the size of the input and the state of the
        frequencies.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._tables(rows, frames)
        key = rows, frames, self.freqs.device, self.freqs.data_ptr(), self.freqs._version
        if self._made is None or self._made[0] != key:
            self._made = key, self._tables(rows, frames)
        return self._made[1]

    def _tables(self, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        axes = [
            repeat(_positions(n, self.freqs.device)[:, None] * self.freqs.float(), "p f -> p (f 2)")
            for n in (rows, frames)
        ]
        angles = torch.cat(
            [repeat(axes[0], "r c -> r w c", w=frames), repeat(axes[1], "w c -> r w c", r=rows)],
            dim=-1,
        )
        return angles.cos(), angles.sin()

    def forward(self, x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
        """Rotate ``x`` (..., rows, frames, channels of a head), computing in float32."""
        cos, sin = tables
        turned, passed = x[..., : cos.shape[-1]].float(), x[..., cos.shape[-1] :]
        turned = turned * cos + _quarter_turn(turned) * sin
        return torch.cat([turned.to(x.dtype), passed], dim=-1)


def _quarter_turn(x: Tensor) -> Tensor:
    """Rotate each pair (x[2i], x[2i+1]) to (-x[2i+1], x[2i])."""
    even, odd = rearrange(x, "... (f two) -> two ... f", two=2)
    pairs: Tensor = rearrange([-odd, even], "two ... f -> ... (f two)")
    return pairs
