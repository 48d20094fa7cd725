"""The paper's prediction: the scaled difference between x_t and x0."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import Bridge, ComponentConfig, Network, Prediction, State, per_item
from a2sb_tasks.predictions.condition import Tell, condition, condition_channels


class Paper(Prediction):
    """The network estimates (x_t - x0)/sigma_t, (10), so that x0_hat = x_t - sigma_t output."""

    class Config(ComponentConfig):
        """Condition of the network."""

        name: str = "paper"
        tell: Tell = "nothing"
        """Condition of the network besides x_t (the paper: ``nothing``)."""

    SMALLEST_SIGMA = 1e-5  # keeps the target finite at t = 0, where x_t is x0

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        self.condition_channels = condition_channels(self.config.tell, channels)

    def denoise(self, network: Network, bridge: Bridge, state: State) -> Tensor:
        """Return x_t - sigma_t output."""
        output = self._output(network, state)
        return state.xt - self._sigma(bridge, state) * output

    def errors(self, network: Network, bridge: Bridge, x0: Tensor, state: State) -> Tensor:
        """Return the squared difference to (x_t - x0)/sigma_t of each value, (10)."""
        output = self._output(network, state)
        return (output - (state.xt - x0) / self._sigma(bridge, state)) ** 2

    def _output(self, network: Network, state: State) -> Tensor:
        return network(state.xt, state.t, condition(self.config.tell, state))

    def _sigma(self, bridge: Bridge, state: State) -> Tensor:
        return per_item(bridge.sigma(state.t).clamp(min=self.SMALLEST_SIGMA), state.xt)
