"""The exponential moving average (EMA) of the weights, which is what a run saves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from a2sb_core.models.model import Model

Tensors = tuple[Tensor, ...] | list[Tensor]


class MovingAverage(AveragedModel):
    """A copy of a model, ``module``, that holds the moving average of its weights.

    The first ``update_parameters`` copies the weights. Then the decay rises from 2/11 to ``decay``
    as (1 + n)/(10 + n) after n updates, so that the average forgets its start quickly.
    """

    module: Model

    def __init__(self, model: Model, decay: float) -> None:
        @torch.no_grad()
        def move(averages: Tensors, weights: Tensors, updates: Tensor | int) -> None:
            n = int(updates)
            torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + n) / (10 + n)))

        super().__init__(model, multi_avg_fn=move)
        self.eval()  # validation is without dropout
        self.requires_grad_(False)
