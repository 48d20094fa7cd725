"""Guess: an estimate of missing content by a classical method, from which a bridge starts."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from a2sb_core.audio.stretches import Stretches
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.item import Item


class Guess(Component, ABC):
    """Estimates missing content from known content, without the network.

    A :class:`MaskCorruption` with a guess uses it in place of zero as the mean of x1 where content
    is missing. The bridge then starts from the guess instead of from noise.

    Attributes:
        context_s: seconds of audio on each side of a frame on which its guess depends.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Guess
        >>> class Level(Guess):
        ...     '''The mean of the known rows of each frame.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "level"
        ...     def guess(self, item, missing, lost):
        ...         known = (~missing).sum(dim=-2, keepdim=True).clamp(min=1)
        ...         return (item.z.sum(dim=-2, keepdim=True) / known).expand_as(item.z)
        >>> from a2sb_core.interfaces import Item
        >>> z, missing = torch.tensor([[[[4.0], [0.0]]]]), torch.tensor([[[[False], [True]]]])
        >>> Level.Config().build().guess(Item(z, z, None), missing, ())[0, 0, :, 0]
        tensor([4., 4.])
    """

    kind = "guess"
    context_s: float = 0.0

    @abstractmethod
    def guess(self, item: Item, missing: Tensor, lost: Stretches) -> Tensor:
        """Return an estimate (B, ch, F, W), of which the missing values are used.

        It must be finite, also where nothing is known: in silence, or in a gap at the start.

        Args:
            item: the damaged item. Its representation is zero where content is missing, and its
                audio is zero in the lost stretches.
            missing: boolean tensor, broadcastable to (B, 1, F, W), True where content is missing.
            lost: stretches (start, end) of the recording whose samples are lost, in seconds.
        """
