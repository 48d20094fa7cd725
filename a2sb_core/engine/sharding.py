"""A model spread over processes (fully sharded data parallel), and its weights in one piece.

States are gathered before they are written, so that a checkpoint is the same whatever number of
processes wrote it, and any other number can go on from it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def sharding_asked() -> bool:
    """Whether the run was started by ``accelerate launch --use_fsdp``."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def shard(model: nn.Module) -> None:
    """Spread the parameters over all processes, in place.

    Each block of a list of blocks is gathered by itself when it computes, the rest at once.
    """
    blocks = [
        block for parent in model.modules() if isinstance(parent, nn.ModuleList)
        for block in parent if not isinstance(block, nn.ModuleList)
    ]
    for block in reversed(blocks):  # inner ones before those that hold them
        fully_shard(block)
    fully_shard(model)


def whole(tree: Any) -> Any:
    """Return a tree of states with every sharded tensor in one piece, on the CPU.

    All processes must call this. What is not sharded stays as it is.
    """
    if isinstance(tree, DTensor):
        return tree.full_tensor().cpu()
    if isinstance(tree, dict):
        return type(tree)((key, whole(value)) for key, value in tree.items())
    return [whole(value) for value in tree] if isinstance(tree, list) else tree


def place(value: Any, like: Any) -> Any:
    """Spread a whole tensor as ``like`` is; all processes must call this."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or isinstance(value, DTensor):
        return value
    if value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def place_optimizer(state: dict[str, Any], parameters: Sequence[Tensor]) -> dict[str, Any]:
    """Spread a whole optimizer state as its parameters are."""
    spread = {
        number: {key: place(value, parameters[number]) for key, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": spread}
