"""Preconditioning of Karras et al. 2022 (table 1), adapted to the bridge, (8) and (9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import (
    Bridge,
    ComponentConfig,
    ConfigError,
    Network,
    Prediction,
    State,
    per_item,
)
from a2sb_tasks.predictions.condition import condition, condition_channels


class Preconditioned(Prediction):
    """Scales input, skip and output so that a small network need not copy noise.

    Where content is missing, x1 is noise of deviation sigma_M, so x_t = a x0 + s n with
    s^2 = (b sigma_M)^2 + c^2. With mean mu and deviation sd of clean data, v = (a sd)^2 + s^2:

        D = mu + a sd^2/v (x_t - a mu) + (s sd/sqrt(v)) F(input, t)
        input = (x_t - a mu)/sqrt(v) where missing, (x1 - mu)/spread where known

    mu and the spread are estimated for each channel and row; the network also receives the missing
    region. sd is the spread times ``residual``: the deviation that remains given the known content.
    If it is small, the skip passes little noise and the network estimates x0 itself.

    With ``tell`` = "degraded", the network also receives x1, so that the noise in it counts as
    known: x_t - b x1 takes the place of x_t where content is missing, and s is c. With ``around`` =
    "degraded", x1 takes the place of mu there: the network corrects the guess of the corruption.
    With ``around`` = "frames", it does so in frames that are missing as a whole.
    """

    class Config(ComponentConfig):
        """Settings of the scaling and of the loss."""

        name: str = "preconditioned"
        fill_std: FiniteFloat = Field(0.5, gt=0)
        """Standard deviation sigma_M of (8), equal to that of the corruption."""
        residual: tuple[FiniteFloat, ...] | None = None
        """Share of the spread that remains given the known content, for each channel, or one value
        for all. The default is 0.2, 1, 1 for magnitude and phase, and 1 for other channels."""
        weights: tuple[FiniteFloat, ...] | None = None
        """Weight in the loss for each channel, or one value for all. The default is 4, 1, 1 for
        magnitude and phase, and 1 for other channels."""
        per_row: bool = True
        """Estimate mean and spread of clean data for each row instead of once for each channel."""
        tell: Literal["missing", "degraded"] = "missing"
        """Condition of the network: the missing region, or that and all of x1. The latter suits a
        corruption with a guess."""
        around: Literal["mean", "degraded", "frames"] = "mean"
        """Prior of missing content: the ``mean`` of clean data; x1 (``degraded``); or x1 in
        ``frames`` of which every row is missing, and the mean in others. The last suits guesses
        whose fine structure is right across gaps in time, but not above a cutoff."""
        shrink: bool = False
        """Multiply the missing part of the input by its correlation with x0, a spread/sqrt(v). Near
        t = 1, where x_t is independent of x0, the input is then zero instead of noise."""
        huber: tuple[Annotated[FiniteFloat, Field(ge=0)], ...] | None = None
        """Parameter h of the pseudo-Huber loss 2 h (sqrt(h^2 + e^2) - h) of the error e, for each
        channel, or one value for all; 0 keeps e^2. The loss grows as |e| beyond h, so the estimate
        tends to the median of x0. The mean of a loud and an empty band would be neither."""

    SMALLEST_SPREAD = 0.02  # limits the scale of the input of a row that is always empty
    SMALLEST_VARIANCE = 1e-8  # keeps the skip finite at t = 1, where x_t is x1
    SMALLEST_SCALE = 1e-3  # keeps the loss finite at t = 0, where x_t is x0

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        # Three channels are those of the factorized representation: magnitude, cosine and sine.
        first_residual, first_weight = (0.2, 4.0) if channels == 3 else (1.0, 1.0)
        self.residual = self._each("residual", (first_residual, *(1.0,) * (channels - 1)))
        self.weights = self._each("weights", (first_weight, *(1.0,) * (channels - 1)))
        self.huber = self._each("huber", (0.0,) * channels)
        self.condition_channels = condition_channels(self.config.tell, channels)
        self.register_buffer("mean", torch.zeros(channels, rows, 1))
        self.register_buffer("spread", torch.ones(channels, rows, 1))

    def _each(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return the value of a setting for each channel."""
        given = getattr(self.config, name) or default
        if len(given) not in (1, len(default)):
            raise ConfigError(
                f"preconditioned.{name} has {len(given)} values, but the representation has "
                f"{len(default)} channels: specify one value per channel, or one for all"
            )
        return tuple(given) if len(given) == len(default) else tuple(given) * len(default)

    def fit(self, x0: Tensor) -> None:
        """Estimate mean and spread of each channel and row from clean data (N, ch, F, W).

        Both are averaged over the rows within 5 %, because the notes in a sample of music are not a
        property of a row.
        """
        mean, square = x0.mean(dim=(0, 3)), x0.square().mean(dim=(0, 3))
        if not self.config.per_row:
            mean, square = (x.mean(dim=1, keepdim=True).expand_as(x) for x in (mean, square))
        mean, square = _smooth(mean), _smooth(square)
        spread = (square - mean**2).clamp(min=self.SMALLEST_SPREAD**2).sqrt()
        self.mean.copy_(mean[..., None])
        self.spread.copy_(spread[..., None])

    def denoise(self, network: Network, bridge: Bridge, state: State) -> Tensor:
        """Return D of the class description."""
        inputs, skip, scale = self._precondition(bridge, state)
        output = network(inputs, state.t, self._condition(state))
        return skip + scale * output

    def errors(self, network: Network, bridge: Bridge, x0: Tensor, state: State) -> Tensor:
        """Return weight ((D - x0)/scale)^2 of each value, or Huber loss; scale = s sd/sqrt(v)."""
        inputs, skip, scale = self._precondition(bridge, state)
        output = network(inputs, state.t, self._condition(state))
        weights = torch.tensor(self.weights, device=x0.device).reshape(-1, 1, 1)
        square = (output - (x0 - skip) / scale) ** 2
        if any(self.huber):
            h = torch.tensor(self.huber, device=x0.device).reshape(-1, 1, 1)
            robust = 2 * h * (torch.sqrt(h.clamp(min=1e-6) ** 2 + square) - h)
            square = torch.where(h > 0, robust, square)
        return weights * square

    def _condition(self, state: State) -> Tensor | None:
        """Return the condition of the network; x1 is scaled as the known input is."""
        if self.config.tell == "degraded":
            state = replace(state, x1=self._scaled(state.x1))
        return condition(self.config.tell, state)

    def _scaled(self, x: Tensor) -> Tensor:
        return (x / self.spread).sub_(self.mean / self.spread)

    def _prior(self, state: State) -> Tensor:
        """Return the prior of missing content, broadcastable to x_t."""
        if self.config.around == "degraded":
            return state.x1
        if self.config.around == "mean" or state.missing is None:
            return self.mean
        return torch.where(state.missing.all(dim=2, keepdim=True), state.x1, self.mean)

    def _precondition(self, bridge: Bridge, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Return the input of the network, the skip part of D, and the scale of the output."""
        xt, missing = state.xt, state.missing
        a, b, c = (per_item(value, xt) for value in bridge.coefficients(state.t))
        if self.config.tell == "degraded":
            xt = xt - b * state.x1
            variance = (c**2).clamp(min=self.SMALLEST_VARIANCE)
        else:
            variance = (b * self.config.fill_std) ** 2 + c**2
        mean = self._prior(state)
        residual = torch.tensor(self.residual, device=xt.device).reshape(-1, 1, 1)
        deviation = self.spread * residual
        total = (a * deviation) ** 2 + variance
        # The spread of x_t scales the input; the remaining deviation scales the skip.
        spread_t = ((a * self.spread) ** 2 + variance).sqrt()
        gain = a * self.spread / spread_t**2 if self.config.shrink else 1 / spread_t
        inputs = (xt * gain).sub_(gain * a * mean)
        if missing is not None:
            inputs = torch.where(missing, inputs, self._scaled(state.x1))
        share = a * deviation**2 / total
        skip = (xt * share).add_((1 - share * a) * mean)
        scale = variance.sqrt() * deviation / total.sqrt()
        return inputs, skip, scale.clamp(min=self.SMALLEST_SCALE)


def _smooth(rows: Tensor) -> Tensor:
    """Average statistics (ch, F) over the rows within 5 % of the index of each row."""
    count = rows.shape[-1]
    number = torch.arange(count)
    low, high = (number * 0.95).ceil().long(), (number * 1.05).floor().long().clamp(max=count - 1)
    # Computed on the host, because not every device supports double precision.
    total = torch.nn.functional.pad(rows.cpu().double().cumsum(dim=-1), (1, 0))
    return ((total[:, high + 1] - total[:, low]) / (high - low + 1)).to(rows)
