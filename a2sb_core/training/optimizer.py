"""The optimizer and its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from a2sb_core.config.training import CriticConfig, OptimizerConfig
from a2sb_core.models.model import Model
from a2sb_core.training.muon import Muon
from a2sb_core.training.objective import Objective


def schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: warm-up, constant, linear decay."""
    decay_steps = config.decay * steps

    def factor(step: int) -> float:
        warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
        decay = min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0
        return warmup * max(decay, 0.0)

    return factor


def make_optimizer(
    config: OptimizerConfig, model: Model, precision: str = "fp32"
) -> torch.optim.Optimizer:
    """Make the optimizer of a model's parameters.

    Args:
        config: kind and settings of the optimizer.
        model: the model.
        precision: precision of the training, in which ``muon`` orthogonalizes.
    """
    if config.kind == "muon":
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        rate, decay = config.learning_rate, config.weight_decay
        return Muon(model.parameters(), rate, config.betas, decay, dtype=dtype)
    kinds = {"adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
    options: dict[str, Any] = {
        "lr": config.learning_rate,
        "betas": config.betas,
        "weight_decay": config.weight_decay,
    }
    if config.kind == "radam":
        options["decoupled_weight_decay"] = True
    optimizer: torch.optim.Optimizer = kinds[config.kind](model.parameters(), **options)
    return optimizer


def make_critic_optimizer(
    config: CriticConfig, objective: Objective
) -> torch.optim.Optimizer | None:
    """Make the optimizer of the parameters of the losses; None if they have none."""
    if not objective.learns:
        return None
    return torch.optim.AdamW(objective.parameters(), config.learning_rate, config.betas)
