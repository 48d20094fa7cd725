"""Times of the bridge that are trained, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from a2sb_core.config.training import TimesConfig


class TimeSampler:
    """Draws times from the distribution of a :class:`TimesConfig`, within a range.

    Only ``by_loss`` has a state: the losses of each bin of the range so far.

    Attributes:
        means: running mean of the squared loss in each bin; NaN where no loss is known yet.
    """

    BINS = 10
    KEPT = 0.99
    """Share of a running mean that remains after one loss."""
    UNIFORM = 0.1
    """Share of the times that ``by_loss`` draws uniformly, so that no bin is forgotten."""

    def __init__(self, config: TimesConfig, t_range: tuple[float, float]) -> None:
        self.config, self.t_range = config, t_range
        self.means = torch.full((self.BINS,), torch.nan, dtype=torch.float64)

    def draw(self, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Draw a time from each generator, (B,), and the weights (B,) of their losses.

        All weights are 1, except those of ``by_loss``: they compensate for the bins that are drawn
        too often, so that the expected loss is that of uniform times.
        """
        low, high = self.t_range
        u = torch.cat([torch.rand(1, generator=generator) for generator in generators])
        place, weights = self._shape(u)
        return low + (high - low) * place, weights

    def learn(self, times: Tensor, losses: Tensor) -> None:
        """Update the running means by the losses (B,) at some times (B,), in any order."""
        if self.config.kind != "by_loss":
            return
        low, high = self.t_range
        places = (times.cpu().double() - low) / (high - low)
        bins = (places * self.BINS).long().clamp(0, self.BINS - 1)
        squares = losses.detach().cpu().double().square()
        for k in sorted(set(bins.tolist())):
            seen = squares[bins == k]
            old, kept = self.means[k], self.KEPT ** len(seen)
            self.means[k] = seen.mean() if old.isnan() else kept * old + (1 - kept) * seen.mean()

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
        shares = (1 - self.UNIFORM) * shares + self.UNIFORM / self.BINS
        ends = shares.cumsum(0)
        bins = torch.searchsorted(ends, u).clamp(max=self.BINS - 1)
        within = (u - (ends - shares)[bins]) / shares[bins]
        place = ((bins + within.clamp(0, 1)) / self.BINS).float()
        return place, (1 / (self.BINS * shares[bins])).float()
