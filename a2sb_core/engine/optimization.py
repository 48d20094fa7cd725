"""Optimizer, learning rate, and the moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from a2sb_core.config.run import OptimizerConfig
from a2sb_core.engine.model import Model
from a2sb_core.engine.sharding import place, whole


def schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: warm-up, constant, linear decay."""
    decay_steps = config.decay * steps

    def factor(step: int) -> float:
        warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
        decay = min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0
        return warmup * max(decay, 0.0)

    return factor


def make_optimizer(config: OptimizerConfig, model: Model) -> torch.optim.Optimizer:
    """Make the optimizer of a model's parameters."""
    kinds = {"adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
    options: dict[str, Any] = {
        "lr": config.learning_rate, "betas": config.betas, "weight_decay": config.weight_decay,
    }
    if config.kind == "radam":
        options["decoupled_weight_decay"] = True
    optimizer: torch.optim.Optimizer = kinds[config.kind](model.parameters(), **options)
    return optimizer


class Average:
    """Exponential moving average of a model's weights, which forgets its start quickly.

    The decay rises from 2/11 to ``decay`` as (1 + n)/(10 + n) after n updates. Where the model is
    sharded, so is its average; ``model`` then holds it whole after :meth:`gather` only.
    """

    PREFIX = "module."

    def __init__(self, model: Model, decay: float) -> None:
        """Copy a model that is not sharded yet."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)  # no dropout in validation
        self.values: list[Tensor] = list(self.model.parameters())
        self.decay, self.count, self.sharded = decay, 0, False

    def shard(self, model: Model) -> None:
        """Keep the shards that belong to those of ``model``; the whole waits in host memory."""
        self.values = [parameter.detach().clone() for parameter in model.parameters()]
        self.model, self.sharded = self.model.cpu(), True

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Move towards the present weights; the first time, take them."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0
        current = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(self.values, current, 1 - decay)
        self.count += 1

    @torch.no_grad()
    def gather(self) -> Model:
        """Return the whole averaged model; where it is sharded, all processes must call this."""
        if self.sharded:
            for parameter, value in zip(self.model.parameters(), self.values, strict=True):
                parameter.copy_(whole(value))
        return self.model

    def state_dict(self) -> dict[str, Any]:
        """Return the whole average and the number of updates."""
        weights = whole(self.gather().state_dict())
        named = {f"{self.PREFIX}{name}": value for name, value in weights.items()}
        return {"n_averaged": torch.tensor(self.count), **named}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.count = int(state["n_averaged"])
        self.model.load_state_dict(
            {k.removeprefix(self.PREFIX): v for k, v in state.items() if k != "n_averaged"}
        )
        if self.sharded:
            for parameter, value in zip(self.model.parameters(), self.values, strict=True):
                value.copy_(place(parameter.detach(), value))
