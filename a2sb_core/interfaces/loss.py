"""Loss: a term of the training objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.representation import Representation


@dataclass(frozen=True)
class TrainingEstimate:
    """The estimate of clean items that a network made in training.

    Attributes:
        estimate: estimated clean items x0_hat, (B, ch, F, W).
        x0: clean items, (B, ch, F, W).
        errors: errors of the prediction before any mean, (B, ch, F, W).
        counted: True where the loss is taken, (B, 1, F, W): content that is missing and lies in the
            true bandwidth of the file.
        representation: representation of the items.
    """

    estimate: Tensor
    x0: Tensor
    errors: Tensor
    counted: Tensor
    representation: Representation

    @cached_property
    def audio(self) -> Tensor:
        """Audio of the estimate, (B, T); content that does not count is that of the clean items."""
        return self._decoded(torch.where(self.counted, self.estimate.float(), self.x0))

    @cached_property
    def clean_audio(self) -> Tensor:
        """Audio of the clean items, (B, T)."""
        return self._decoded(self.x0)

    def detached(self) -> TrainingEstimate:
        """Return the trial without the gradient of the estimate."""
        return replace(self, estimate=self.estimate.detach(), errors=self.errors.detach())

    def _decoded(self, z: Tensor) -> Tensor:
        length = max(1, (z.shape[-1] - 1) * self.representation.stride)
        with torch.autocast(z.device.type, enabled=False):
            return self.representation.decode(z, length)


class Loss(Component, nn.Module, ABC):
    """A term of the training objective, which a configuration composes of weighted terms.

    A loss may have parameters of its own, such as those of a critic. Training then also minimizes
    what :meth:`learn` returns, by these parameters alone.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Loss, TrainingEstimate
        >>> class Absolute(Loss):
        ...     '''Mean absolute error of the estimate.'''
        ...     class Config(ComponentConfig):
        ...         name: str = "absolute"
        ...     def forward(self, trial):
        ...         return mean_of(trial, (trial.estimate - trial.x0).abs())
        >>> from a2sb_core.interfaces.loss import mean_of
        >>> x, counted = torch.zeros(2, 1, 3, 4), torch.ones(2, 1, 3, 4, dtype=torch.bool)
        >>> Absolute.Config().build()(TrainingEstimate(x + 1, x, x, counted, None))
        tensor([1., 1.])
    """

    kind = "loss"

    @abstractmethod
    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the loss of each item, (B,); it is weighted by the values that count."""

    def learn(self, trial: TrainingEstimate) -> Tensor | None:
        """Return the loss of the parameters of this term, a scalar; None if it has none."""
        return None


def mean_of(trial: TrainingEstimate, values: Tensor) -> Tensor:
    """Return the mean of values (B, ch, F, W) over what counts, for each item (B,)."""
    total: Tensor = (values * trial.counted).sum(dim=(1, 2, 3))
    count = trial.counted.sum(dim=(1, 2, 3)) * values.shape[1]
    return total / count.clamp(min=1)
