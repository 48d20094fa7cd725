"""Prediction: the quantity that the network estimates, and its conversion to x0."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.state import State

if TYPE_CHECKING:
    from a2sb_core.plugins.component_config import ComponentConfig

Network = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Maps x_t (B, ch, F, W), times (B,) and a condition (B, k, F, W) or None to (B, ch, F, W)."""

Denoiser = Callable[[State], Tensor]
"""Estimates x0 (B, ch, F, W) from a state of the bridge."""


class Prediction(Component, nn.Module, ABC):
    """Turns a network into a denoiser x0_hat = D(state), and defines its training loss.

    Both are consistent: if the loss of a network is zero, the denoiser returns x0.

    Args:
        config: configuration of the component.
        channels: number of representation channels, ch.
        rows: number of rows F of the representation.

    Attributes:
        condition_channels: number of channels k of the condition that the network receives besides
            x_t; 0 if there is none.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Prediction, State
        >>> class Clean(Prediction):
        ...     '''The network estimates x0 itself.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "clean"
        ...     def denoise(self, network, bridge, state):
        ...         return network(state.xt, state.t, None)
        ...     def errors(self, network, bridge, x0, state):
        ...         return (network(state.xt, state.t, None) - x0) ** 2
        >>> clean = Clean.Config().build(channels=1, rows=2)
        >>> x = torch.ones(1, 1, 2, 2)
        >>> float(clean.errors(lambda x, t, c: x, None, x, State(x, torch.ones(1), x)).sum())
        0.0
    """

    kind = "prediction"
    condition_channels: int = 0

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        """Store the configuration and the sizes."""
        super().__init__(config)
        self.channels, self.rows = channels, rows

    @abstractmethod
    def denoise(self, network: Network, bridge: Bridge, state: State) -> Tensor:
        """Estimate x0 (B, ch, F, W) from a state of the bridge."""

    @abstractmethod
    def errors(self, network: Network, bridge: Bridge, x0: Tensor, state: State) -> Tensor:
        """Return the weighted squared error of each value, (B, ch, F, W), before any mean."""

    def fit(self, x0: Tensor) -> None:
        """Fit statistics to encoded clean audio (N, ch, F, W); the default does nothing."""

    def denoiser(self, network: Network, bridge: Bridge) -> Denoiser:
        """Return the denoiser D(state) of a network and a bridge."""
        return partial(self.denoise, network, bridge)
