"""The paper's prediction: the scaled difference between x_t and x0."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig, Network, Prediction, per_item
from a2sb_tasks.predictions.condition import Tell, condition, condition_channels


class Paper(Prediction):
    """The network says (x_t - x0)/sigma_t, (10); so x0_hat = x_t - sigma_t output."""

    class Config(ComponentConfig):
        """What the network sees."""

        name: str = "paper"
        tell: Tell = "nothing"
        """What it is given besides x_t; the paper: nothing."""

    SMALLEST_SIGMA = 1e-5  # keeps the target finite at t = 0, where x_t is x0 already

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        self.condition_channels = condition_channels(self.config.tell, channels)

    def denoise(
        self, network: Network, bridge: Bridge, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return x_t - sigma_t output."""
        output = network(xt, t, condition(self.config.tell, x1, missing))
        return xt - self._sigma(bridge, t, xt) * output

    def errors(
        self, network: Network, bridge: Bridge, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return the squared difference to (x_t - x0)/sigma_t of each value, (10)."""
        output = network(xt, t, condition(self.config.tell, x1, missing))
        return (output - (xt - x0) / self._sigma(bridge, t, xt)) ** 2

    def _sigma(self, bridge: Bridge, t: Tensor, like: Tensor) -> Tensor:
        return per_item(bridge.sigma(t).clamp(min=self.SMALLEST_SIGMA), like)
