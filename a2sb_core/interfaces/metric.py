"""Metric: the distance between restored audio and the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from a2sb_core.interfaces.component import Component


@dataclass(frozen=True)
class Outcome:
    """One restoration and everything that is known about it.

    Attributes:
        truth: the audio before it was damaged, (C, T).
        estimate: the restored audio, (C, T).
        sample_rate: sample rate of both, in Hz.
        task: the task of the restorer.
        parameters: description of the damage that the restorer received, by the names of the
            corruption that serves the task.
        diagnostics: values (N,) that a model's representation found in the output of the sampler,
            by name; see :meth:`Representation.diagnostics`. Empty for other systems.
        columns: text of further columns of the clip's row in the manifest, by name; paths are
            absolute. Empty without a manifest.
    """

    truth: Tensor
    estimate: Tensor
    sample_rate: int
    task: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


class Metric(Component, ABC):
    """A number for a pair of recordings.

    A metric that needs more than the two recordings overrides :meth:`judge` as well.

    Attributes:
        higher_is_better: whether higher values are better.

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
        """Measure a restoration; None where this metric does not apply to it."""
        return self.measure(outcome.truth, outcome.estimate, outcome.sample_rate)

    def check(self) -> None:
        """Check that the metric can run in this environment.

        Raises:
            A2SBError: a package is missing; the message states how to install it.
        """
