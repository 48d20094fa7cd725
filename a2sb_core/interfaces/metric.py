"""Metric: how close restored audio is to the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from a2sb_core.interfaces.component import Component


class Metric(Component, ABC):
    """A number for a pair of recordings.

    Attributes:
        higher_is_better: direction.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Metric
        >>> class MeanSquare(Metric):
        ...     higher_is_better = False
        ...     class Config(ComponentConfig):
        ...         name: str = "mean_square"
        ...     def measure(self, truth, estimate, sample_rate):
        ...         return float(((truth - estimate) ** 2).mean())
        >>> MeanSquare.Config().build().measure(torch.ones(1, 4), torch.zeros(1, 4), 44100)
        1.0
    """

    kind = "metric"
    higher_is_better: ClassVar[bool]

    @abstractmethod
    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare ``estimate`` with ``truth``, both (C, T); the mean over channels."""
