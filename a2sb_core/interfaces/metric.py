"""Metric: how close restored audio is to the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from a2sb_core.interfaces.component import Component


@dataclass(frozen=True)
class Outcome:
    """One restoration, and all that is known of it.

    Attributes:
        truth: what the audio was before it was damaged, (C, T).
        estimate: the restored audio, (C, T).
        sample_rate: of both, Hz.
        task: what was asked of the restorer.
        parameters: what it was told of the damage, such as ``cutoff_hz`` or ``gaps_s``.
        residual: for a model of factorized phase, Err_phase-ortho (18) of the bins that it
            restored, as the sampler left them, (N,); None for other systems.
        residual_hz: frequency of each of these bins, (N,).
    """

    truth: Tensor
    estimate: Tensor
    sample_rate: int
    task: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    residual: Tensor | None = None
    residual_hz: Tensor | None = None


class Metric(Component, ABC):
    """A number for a pair of recordings.

    A metric that needs to know what was damaged, or how the result came about, overrides
    :meth:`judge` as well.

    Attributes:
        higher_is_better: direction.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Metric, Outcome
        >>> class MeanSquare(Metric):
        ...     higher_is_better = False
        ...     class Config(ComponentConfig):
        ...         name: str = "mean_square"
        ...     def measure(self, truth, estimate, sample_rate):
        ...         return float(((truth - estimate) ** 2).mean())
        ...     @staticmethod
        ...     def contract_cases():
        ...         from a2sb_core.testing import Case
        ...         known = Outcome(torch.ones(1, 4), torch.zeros(1, 4), 44100)
        ...         return [Case(MeanSquare.Config(), known_values=((known, 1.0),))]
        >>> MeanSquare.Config().build().measure(torch.ones(1, 4), torch.zeros(1, 4), 44100)
        1.0
    """

    kind = "metric"
    higher_is_better: ClassVar[bool]

    @abstractmethod
    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare ``estimate`` with ``truth``, both (C, T); the mean over channels."""

    def judge(self, outcome: Outcome) -> float | None:
        """Measure a restoration; None where this metric says nothing about it."""
        return self.measure(outcome.truth, outcome.estimate, outcome.sample_rate)

    def check(self) -> None:
        """Make sure that the metric can run here.

        Raises:
            A2SBError: it can not, for want of a package; the message says how to install it.
        """
