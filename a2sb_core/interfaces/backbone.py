"""Backbone: the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from a2sb_core.interfaces.component import Component

if TYPE_CHECKING:
    from a2sb_core.config.component import ComponentConfig


class Backbone(Component, nn.Module, ABC):
    """A network over the plane of a representation, told the time of each item.

    Args:
        config: its ``Config``.
        channels: representation channels ch, in and out.
        condition_channels: channels k of the condition; 0 where there is none.

    Attributes:
        multiple: (rows, frames) whose multiples the network accepts; (1, 1) for any size.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import Backbone, ComponentConfig
        >>> class Affine(Backbone):
        ...     class Config(ComponentConfig):
        ...         name: str = "affine"
        ...     def __init__(self, config, channels, condition_channels=0):
        ...         super().__init__(config, channels, condition_channels)
        ...         self.mix = torch.nn.Conv2d(channels, channels, 1)
        ...     def forward(self, x, t, condition=None):
        ...         return self.mix(x) * t[:, None, None, None]
        >>> network = Affine.Config().build(channels=3)
        >>> network(torch.ones(2, 3, 8, 4), torch.tensor([0.0, 1.0])).shape
        torch.Size([2, 3, 8, 4])
    """

    kind = "backbone"
    multiple: tuple[int, int] = (1, 1)

    def __init__(
        self, config: ComponentConfig, channels: int, condition_channels: int = 0
    ) -> None:
        """Keep the configuration and the sizes."""
        super().__init__(config)
        self.channels, self.condition_channels = channels, condition_channels

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map x (B, ch, F, W), times t (B,) and a condition (B, k, F, W) to (B, ch, F, W)."""
