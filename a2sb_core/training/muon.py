"""Muon: momentum whose matrices are orthogonalized (Jordan et al. 2024), beside AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from a2sb_core.errors import TrainingError

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton-Schulz iteration, which brings singular values near 1."""
ITERATIONS = 5
UPDATE_RMS = 0.2
"""Root mean square of an update at a learning rate of 1, which is about that of AdamW."""


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalized momentum of matrices, and along that of AdamW for the rest.

    A convolution kernel is the matrix of its outputs by all of its inputs. Updates are as large as
    those of AdamW, so that learning rates of AdamW apply (Liu et al. 2025).

    Args:
        parameters: parameters of the network.
        lr: learning rate.
        betas: decay of the moving averages of AdamW; the momentum of matrices is ``momentum``.
        weight_decay: weight decay, decoupled from the gradient.
        momentum: decay of the momentum of matrices.
        dtype: type in which matrices are orthogonalized; bfloat16 is accurate enough.

    Raises:
        TrainingError: the parameters are sharded.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        parameters = list(parameters)
        if any(isinstance(one, DTensor) for one in parameters):
            raise TrainingError("optimizer.kind muon cannot train sharded weights; use adamw")
        groups: list[dict[str, Any]] = [
            {"params": [one for one in parameters if one.ndim >= 2], "is_matrix": True},
            {"params": [one for one in parameters if one.ndim < 2], "is_matrix": False},
        ]
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(groups, defaults)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            update = self._matrix_update if group["is_matrix"] else self._adam_update
            for weights in group["params"]:
                if weights.grad is not None:
                    change = update(weights.grad, self.state[weights], group)
                    weights.mul_(1 - group["lr"] * group["weight_decay"])
                    weights.sub_(group["lr"] * change)

    def _matrix_update(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        momentum = state.setdefault("momentum", torch.zeros_like(grad))
        momentum.lerp_(grad, 1 - group["momentum"])
        ahead = torch.lerp(grad, momentum, group["momentum"])  # Nesterov
        matrix = orthogonalized(ahead.flatten(1), self.dtype)
        update: Tensor = (UPDATE_RMS * max(matrix.shape) ** 0.5 * matrix).to(grad).view_as(grad)
        return update

    def _adam_update(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        mean = state.setdefault("mean", torch.zeros_like(grad))
        square = state.setdefault("square", torch.zeros_like(grad))
        state["steps"] = steps = state.get("steps", 0) + 1
        first, second = group["betas"]
        mean.lerp_(grad, 1 - first)
        square.lerp_(grad.square(), 1 - second)
        scale = (square / (1 - second**steps)).sqrt().add_(1e-8)
        update: Tensor = mean / (1 - first**steps) / scale
        return update


def orthogonalized(matrix: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a matrix (m, n) with the singular vectors of the given one, and values near 1."""
    x = matrix.to(dtype)
    is_tall = x.shape[0] > x.shape[1]
    x = x.mT if is_tall else x
    x = x / x.norm().clamp(min=1e-12)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.mT if is_tall else x).to(matrix.dtype)
    return result
