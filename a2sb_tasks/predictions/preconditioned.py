"""Preconditioning for the bridge, after table 1 of Karras et al. 2022, for (8) and (9)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import (
    Bridge,
    ComponentConfig,
    ConfigError,
    Network,
    Prediction,
    per_item,
)
from a2sb_tasks.predictions.condition import condition, condition_channels


class Preconditioned(Prediction):
    """Scales input, skip and output so that a small network need not copy noise.

    Where content is missing, x1 is noise of deviation sigma_M, so x_t = a x0 + s n with
    s^2 = (b sigma_M)^2 + c^2. With mean mu and deviation sd of clean data, v = (a sd)^2 + s^2:

        D = mu + a sd^2/v (x_t - a mu) + (s sd/sqrt(v)) F(input, t)
        input = (x_t - a mu)/sqrt(v) where missing, (x1 - mu)/spread where known

    mu and the spread belong to each channel and row; the network is also told the missing
    region. sd is the spread times ``residual``: the deviation that is left given the known
    content. Where it is small the skip passes little noise and the network says x0 itself.
    """

    class Config(ComponentConfig):
        """Settings of the scaling and of the loss."""

        name: str = "preconditioned"
        fill_std: float = Field(0.5, gt=0)
        """sigma_M of (8), as in the corruption."""
        residual: tuple[float, ...] | None = None
        """For each channel, the share of the spread that the known content leaves open; one value
        stands for all. By default 0.2, 1, 1 for magnitude and phase, and 1 for other channels."""
        weights: tuple[float, ...] | None = None
        """For each channel, its weight in the loss; one value stands for all. By default 4, 1, 1
        for magnitude and phase, and 1 for other channels."""
        per_row: bool = True
        """Mean and spread of clean data for each row; otherwise one for all rows of a channel."""
        shrink: bool = False
        """Multiply the input where missing by its correlation with x0, a spread/sqrt(v): near t =
        1, where x_t says nothing of x0, the network then sees nothing instead of noise."""
        huber: tuple[Annotated[float, Field(ge=0)], ...] | None = None
        """For each channel (one value stands for all), h turns its squared error e^2 into the
        pseudo-Huber loss 2 h (sqrt(h^2 + e^2) - h), which grows as |e| beyond h: the denoiser then
        leans towards the median of x0, where the mean of a loud and an empty band would be
        neither. 0 keeps the square."""

    SMALLEST_SPREAD = 0.02  # a row that is always empty must not blow up its input
    SMALLEST_SCALE = 1e-3  # keeps the loss finite at t = 0, where x_t is x0 already

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        # The factorized representation has three: the magnitude, and cosine and sine of the phase.
        first_residual, first_weight = (0.2, 4.0) if channels == 3 else (1.0, 1.0)
        self.residual = self._each("residual", (first_residual, *(1.0,) * (channels - 1)))
        self.weights = self._each("weights", (first_weight, *(1.0,) * (channels - 1)))
        self.huber = self._each("huber", (0.0,) * channels)
        self.condition_channels = condition_channels("missing", channels)
        self.register_buffer("mean", torch.zeros(channels, rows, 1))
        self.register_buffer("spread", torch.ones(channels, rows, 1))

    def _each(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return a setting's value for each channel."""
        given = getattr(self.config, name) or default
        if len(given) not in (1, len(default)):
            raise ConfigError(
                f"preconditioned.{name} has {len(given)} values, and the representation has "
                f"{len(default)} channels: give one value a channel, or one for all"
            )
        return tuple(given) if len(given) == len(default) else tuple(given) * len(default)

    def fit(self, x0: Tensor) -> None:
        """Set mean and spread of each channel and row from clean data (N, ch, F, W).

        Both are averaged over the rows within 5 %: a sample of music has notes, which are no
        property of a row.
        """
        mean, square = x0.mean(dim=(0, 3)), x0.square().mean(dim=(0, 3))
        if not self.config.per_row:
            mean, square = (x.mean(dim=1, keepdim=True).expand_as(x) for x in (mean, square))
        mean, square = _smooth(mean), _smooth(square)
        spread = (square - mean**2).clamp(min=self.SMALLEST_SPREAD**2).sqrt()
        self.mean.copy_(mean[..., None])
        self.spread.copy_(spread[..., None])

    def denoise(
        self, network: Network, bridge: Bridge, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return D of the class description."""
        inputs, skip, scale = self._precondition(bridge, xt, t, x1, missing)
        output = network(inputs, t, condition("missing", x1, missing))
        return skip + scale * output

    def errors(
        self, network: Network, bridge: Bridge, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return weight ((D - x0)/scale)^2 of each value, or its Huber, scale = s sd/sqrt(v)."""
        inputs, skip, scale = self._precondition(bridge, xt, t, x1, missing)
        output = network(inputs, t, condition("missing", x1, missing))
        weights = torch.tensor(self.weights, device=xt.device).reshape(-1, 1, 1)
        square = (output - (x0 - skip) / scale) ** 2
        if any(self.huber):
            h = torch.tensor(self.huber, device=xt.device).reshape(-1, 1, 1)
            robust = 2 * h * (torch.sqrt(h.clamp(min=1e-6) ** 2 + square) - h)
            square = torch.where(h > 0, robust, square)
        return weights * square

    def _precondition(
        self, bridge: Bridge, xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the network's input, the skip part of D and the output's scale."""
        a, b, c = (per_item(value, xt) for value in bridge.coefficients(t))
        variance = (b * self.config.fill_std) ** 2 + c**2
        residual = torch.tensor(self.residual, device=xt.device).reshape(-1, 1, 1)
        deviation = self.spread * residual
        total = (a * deviation) ** 2 + variance
        # The input is scaled by what x_t really spreads, the skip by what is left to say of it.
        spread_t = ((a * self.spread) ** 2 + variance).sqrt()
        gain = a * self.spread / spread_t**2 if self.config.shrink else 1 / spread_t
        inputs = (xt * gain).sub_(gain * a * self.mean)
        if missing is not None:
            known = (x1 / self.spread).sub_(self.mean / self.spread)
            inputs = torch.where(missing, inputs, known)
        share = a * deviation**2 / total
        skip = (xt * share).add_((1 - share * a) * self.mean)
        scale = variance.sqrt() * deviation / total.sqrt()
        return inputs, skip, scale.clamp(min=self.SMALLEST_SCALE)


def _smooth(rows: Tensor) -> Tensor:
    """Average (ch, F) over rows within 5 % of each row's number to either side."""
    count = rows.shape[-1]
    number = torch.arange(count)
    low, high = (number * 0.95).ceil().long(), (number * 1.05).floor().long().clamp(max=count - 1)
    # On the host: not every device has double precision.
    total = torch.nn.functional.pad(rows.cpu().double().cumsum(dim=-1), (1, 0))
    return ((total[:, high + 1] - total[:, low]) / (high - low + 1)).to(rows)
