"""Prediction: what the network is asked for, and how its answer becomes a clean estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from a2sb_core.interfaces.bridge import Bridge
from a2sb_core.interfaces.component import Component

if TYPE_CHECKING:
    from a2sb_core.config.component import ComponentConfig

Network = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Denoiser = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


class Prediction(Component, nn.Module, ABC):
    """Turns a network into a denoiser x0_hat = D(x_t, t, x1, missing), and gives its training loss.

    The two are inverses: a network with zero loss denoises to x0.

    Args:
        config: its ``Config``.
        channels: representation channels ch.
        rows: rows F of the representation.

    Attributes:
        condition_channels: channels k of the condition the network is given besides x_t; 0: none.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Prediction
        >>> class Clean(Prediction):
        ...     '''The network says x0 itself.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "clean"
        ...     def denoise(self, network, bridge, xt, t, x1, missing):
        ...         return network(xt, t, None)
        ...     def errors(self, network, bridge, x0, xt, t, x1, missing):
        ...         return (network(xt, t, None) - x0) ** 2
        >>> clean = Clean.Config().build(channels=1, rows=2)
        >>> x = torch.ones(1, 1, 2, 2)
        >>> float(clean.errors(lambda x, t, c: x, None, x, x, torch.ones(1), x, None).sum())
        0.0
    """

    kind = "prediction"
    condition_channels: int = 0

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        """Keep the configuration and the sizes."""
        super().__init__(config)
        self.channels, self.rows = channels, rows

    @abstractmethod
    def denoise(
        self, network: Network, bridge: Bridge, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Estimate x0 (B, ch, F, W) from x_t; ``t`` is (B,), ``missing`` (B, 1, F, W) or None."""

    @abstractmethod
    def errors(
        self, network: Network, bridge: Bridge, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return the weighted squared error of each value, (B, ch, F, W), before any mean."""

    def fit(self, x0: Tensor) -> None:
        """Learn statistics from encoded clean audio (N, ch, F, W); default: none."""

    def denoiser(self, network: Network, bridge: Bridge) -> Denoiser:
        """Bind a network and a bridge into D(x_t, t, x1, missing)."""

        def denoise(xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None) -> Tensor:
            return self.denoise(network, bridge, xt, t, x1, missing)

        return denoise
