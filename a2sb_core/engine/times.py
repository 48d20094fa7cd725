"""Which times of the bridge are trained, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from a2sb_core.config.run import TimesConfig


class Times:
    """Draws times from the distribution of a :class:`TimesConfig`, within a range.

    Only ``by_loss`` has a state: what the losses of each part of the range have been.

    Attributes:
        means: running mean of the squared loss in each part of the range; NaN: none seen.
    """

    PARTS = 10
    KEPT = 0.99
    """Share of a running mean that a loss leaves as it is."""
    UNIFORM = 0.1
    """Share of the times that ``by_loss`` draws uniformly, so that no part is forgotten."""

    def __init__(self, config: TimesConfig, t_range: tuple[float, float]) -> None:
        self.config, self.t_range = config, t_range
        self.means = torch.full((self.PARTS,), torch.nan, dtype=torch.float64)

    def draw(self, draws: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Draw a time from each generator, (B,), and the weights (B,) of their losses.

        Weights are 1 but for ``by_loss``: there they undo what is drawn too often, so that the
        expected loss is that of uniform times.
        """
        low, high = self.t_range
        u = torch.cat([torch.rand(1, generator=generator) for generator in draws])
        place, weights = self._shape(u)
        return low + (high - low) * place, weights

    def learn(self, times: Tensor, losses: Tensor) -> None:
        """Take the losses (B,) of some times (B,) into account, in whatever order."""
        if self.config.kind != "by_loss":
            return
        low, high = self.t_range
        places = (times.cpu().double() - low) / (high - low)
        parts = (places * self.PARTS).long().clamp(0, self.PARTS - 1)
        squares = losses.detach().cpu().double().square()
        for part in sorted(set(parts.tolist())):
            seen = squares[parts == part]
            old, kept = self.means[part], self.KEPT ** len(seen)
            self.means[part] = (
                seen.mean() if old.isnan() else kept * old + (1 - kept) * seen.mean()
            )

    def _shape(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Turn uniform numbers into places in the range (0 to 1), and their weights."""
        ones = torch.ones_like(u)
        if self.config.kind == "log_normal":
            normal = torch.special.ndtri(u.double().clamp(1e-9, 1 - 1e-9))
            return torch.sigmoid(self.config.mean + self.config.std * normal).to(u.dtype), ones
        if self.config.kind == "by_loss" and not self.means.isnan().any():
            return self._by_loss(u.double())
        return u ** (1 / (1 + self.config.bias)), ones

    def _by_loss(self, u: Tensor) -> tuple[Tensor, Tensor]:
        wanted = self.means.sqrt()
        shares = wanted / wanted.sum().clamp(min=torch.finfo(wanted.dtype).tiny)
        shares = (1 - self.UNIFORM) * shares + self.UNIFORM / self.PARTS
        ends = shares.cumsum(0)
        part = torch.searchsorted(ends, u).clamp(max=self.PARTS - 1)
        within = (u - (ends - shares)[part]) / shares[part]
        place = ((part + within.clamp(0, 1)) / self.PARTS).float()
        return place, (1 / (self.PARTS * shares[part])).float()
