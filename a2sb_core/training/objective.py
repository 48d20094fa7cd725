"""The objective of a training: weighted terms, and the learning of those with parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from a2sb_core.config.training import WeightedLoss
from a2sb_core.interfaces import Loss, TrainingEstimate
from a2sb_core.models.model import Model
from a2sb_core.training.training_batch import MicroBatch


class Objective(nn.Module):
    """The terms of a configuration.

    Args:
        terms: the losses, with their weights and ranges of t.
    """

    def __init__(self, terms: Sequence[WeightedLoss]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.names = _names(terms)
        self.losses = nn.ModuleList(cast(Loss, term.loss.build()) for term in terms)

    def forward(self, trial: TrainingEstimate, t: Tensor) -> dict[str, Tensor]:
        """Return the weighted loss of each item (B,) by the name of the term."""
        found = {}
        for name, term, loss in zip(self.names, self.terms, self.losses, strict=True):
            value: Tensor = loss(trial) * term.weight
            found[name] = value if term.max_t == 1 else torch.where(t <= term.max_t, value, 0)
        return found

    def learn(self, trial: TrainingEstimate) -> Tensor | None:
        """Return the sum of the losses of the terms' own parameters; None if they have none."""
        found = [cast(Loss, loss).learn(trial.detached()) for loss in self.losses]
        learned = [loss for loss in found if loss is not None]
        return torch.stack(learned).sum() if learned else None

    @property
    def learns(self) -> bool:
        """Whether a term has parameters."""
        return any(True for _ in self.parameters())


def try_batch(network: Any, micro_batch: MicroBatch, model: Model) -> TrainingEstimate:
    """Let the network estimate the items of a micro-batch.

    Args:
        network: computes errors as :meth:`Model.forward` does: the model, or a wrapper of it.
        micro_batch: items, times and noise.
        model: gives the bridge and the representation.
    """
    batch = micro_batch.batch
    xt = model.bridge.marginal(batch.x0, batch.x1, micro_batch.t).sample(micro_batch.noise)
    given = batch.x1, batch.missing, batch.conditioning
    errors, estimate = network(batch.x0, xt, micro_batch.t, *given, estimate=True)
    return TrainingEstimate(estimate, batch.x0, errors, batch.counted, model.representation)


def item_losses(trial: TrainingEstimate, t: Tensor, objective: Objective) -> dict[str, Tensor]:
    """Return the loss of each item by term, (B,), times the number of its values that count.

    Divided by the number of counted values of a whole batch, the sums of its micro-batches add up
    to its mean loss.
    """
    values = trial.counted.sum(dim=(1, 2, 3)) * trial.x0.shape[1]
    return {name: loss * values for name, loss in objective(trial, t).items()}


def _names(terms: Sequence[WeightedLoss]) -> list[str]:
    """Return a name for each term; those of the same loss are numbered."""
    names: list[str] = []
    for term in terms:
        name = term.loss.name
        same = sum(one.loss.name == name for one in terms[: len(names)])
        names.append(f"{name}_{same + 1}" if same else name)
    return names
