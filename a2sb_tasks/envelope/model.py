"""Network that predicts the levels of missing bands from those of known ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from a2sb_tasks.envelope.bands import BANDS

MIDDLE_DB, SCALE_DB = -20.0, 20.0
"""Level that the network sees as 0, and that is one unit above it."""
DILATIONS = (1, 2, 4, 8, 16)
REACH = 2 * sum(DILATIONS)
"""Stretches of time on each side from which a level is predicted."""


class EnvelopeModel(nn.Module):
    """Predicts level and uncertainty of each band and stretch of time by dilated convolutions.

    Args:
        width: number of channels of the hidden layers.
        dropout: probability of dropping a channel in training.
    """

    def __init__(self, width: int = 96, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Conv1d(2 * BANDS + 1, width, 1)
        self.blocks = nn.ModuleList(_Block(width, dilation, dropout) for dilation in DILATIONS)
        self.last = nn.Conv1d(width, 2 * BANDS, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, levels: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expected level in dB and its spread (scale of a Laplace law) in dB.

        Args:
            levels: levels in dB (B, BANDS, N); their values count only where they are known.
            known: share of each level that is known, (B, BANDS, N), in [0, 1].

        Returns:
            Two tensors (B, BANDS, N).
        """
        x = (levels - MIDDLE_DB) / SCALE_DB * known
        inside = torch.ones_like(x[:, :1])
        h = self.first(torch.cat([x, known, inside], dim=1))
        for block in self.blocks:
            h = block(h)
        shift, log_spread = self.last(h).chunk(2, dim=1)
        start = _nearest(x, known)
        return MIDDLE_DB + SCALE_DB * (start + shift), 6.0 * log_spread.clamp(-3, 3).exp()


class _Block(nn.Module):
    """A residual block of two convolutions over time, whose padding is marked by zeros."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GELU(),
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
            nn.GELU(),
            nn.Dropout1d(dropout),
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, N) to the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def _nearest(x: Tensor, known: Tensor) -> Tensor:
    """Return in each missing band the value of the highest known band of the same stretch."""
    number = torch.arange(x.shape[1], device=x.device)[None, :, None]
    top = torch.where(known > 0, number, -1).amax(dim=1, keepdim=True)
    value = torch.where(number == top, x, 0).sum(dim=1, keepdim=True)
    return torch.where(known > 0, x, value)
