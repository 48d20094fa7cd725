"""Backbone: the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from a2sb_core.interfaces.component import Component

if TYPE_CHECKING:
    from a2sb_core.plugins.component_config import ComponentConfig


class Backbone(Component, nn.Module, ABC):
    """A network that maps x_t and the time t of each item to a tensor of the shape of x_t.

    Args:
        config: configuration of the component.
        channels: number of representation channels, ch, of the input and the output.
        condition_channels: number of channels k of the condition; 0 if there is none.

    Attributes:
        multiple: (rows, frames); the network accepts multiples of these sizes. (1, 1) accepts any
            size.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import Backbone, ComponentConfig
        >>> class Affine(Backbone):
        ...     class Config(ComponentConfig):
        ...         name: str = "affine"
        ...     def __init__(self, config, channels, condition_channels=0):
        ...         super().__init__(config, channels, condition_channels)
        ...         self.mix = torch.nn.Conv2d(channels + condition_channels, channels, 1)
        ...     def forward(self, x, t, condition=None):
        ...         shown = x if condition is None else torch.cat([x, condition], dim=1)
        ...         return self.mix(shown) * t[:, None, None, None]
        >>> network = Affine.Config().build(channels=3)
        >>> network(torch.ones(2, 3, 8, 4), torch.tensor([0.0, 1.0])).shape
        torch.Size([2, 3, 8, 4])
    """

    kind = "backbone"
    multiple: tuple[int, int] = (1, 1)

    def __init__(self, config: ComponentConfig, channels: int, condition_channels: int = 0) -> None:
        """Store the configuration and the sizes."""
        super().__init__(config)
        self.channels, self.condition_channels = channels, condition_channels

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map x (B, ch, F, W), times t (B,) and a condition (B, k, F, W) to (B, ch, F, W)."""


@runtime_checkable
class MergingBackbone(Protocol):
    """A backbone class that combines networks which were trained on ranges of t into one.

    This interface is optional. A :class:`Backbone` implements it by defining the class method
    ``merge``, which ``a2sb gather`` calls. Settings of its ``Config`` that users may choose are
    further arguments of ``merge``.
    """

    @classmethod
    def merge(cls, parts: Sequence[Backbone], cuts: Sequence[float]) -> Backbone:
        """Return a network in which each part serves its own range of t (section 3.5).

        Args:
            parts: networks of one configuration, in ascending order of their ranges.
            cuts: ascending times within (0, 1) at which the ranges meet, one fewer than parts.

        Raises:
            ModelError: the parts do not match each other or the cuts.
        """


@runtime_checkable
class WideningBackbone(Protocol):
    """A backbone that can continue the training of one with fewer channels of the condition.

    This interface is optional. A :class:`Backbone` implements it by defining ``widened``, which the
    training calls for the weights of ``init_from``.
    """

    def widened(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights of such a network in the shapes of this one, with which it does the same.

        Args:
            weights: state dictionary of a network of the same configuration, whose condition may
                have fewer channels than that of this network. The additional channels are the last.
        """
