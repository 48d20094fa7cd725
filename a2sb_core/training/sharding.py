"""Models sharded over processes (fully sharded data parallel), and their states in one piece.

States are gathered before they are written, so that a checkpoint does not depend on the number of
processes that wrote it, and any other number can resume from it.
"""

from __future__ import annotations

import os
from typing import Any

from torch import nn
from torch.distributed.checkpoint import state_dict as states
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from a2sb_core.models.model import Model

WHOLE = states.StateDictOptions(full_state_dict=True, cpu_offload=True)


def sharding_requested() -> bool:
    """Return whether the run was started by ``accelerate launch --use_fsdp``."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def shard(model: nn.Module) -> None:
    """Shard the parameters over all processes, in place.

    Each block of a list of blocks is gathered by itself when it computes, the rest at once.
    """
    blocks = [
        block
        for parent in model.modules()
        if isinstance(parent, nn.ModuleList)
        for block in parent
        if not isinstance(block, nn.ModuleList)
    ]
    for block in reversed(blocks):  # inner ones before those that hold them
        fully_shard(block)
    fully_shard(model)


def gather_state(model: nn.Module, average: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Return states in one piece; all processes must call this, and the first one gets them."""
    return {
        "model": states.get_model_state_dict(model, options=WHOLE),
        "ema": states.get_model_state_dict(average, options=WHOLE),
        "optimizer": states.get_optimizer_state_dict(model, optimizer, options=WHOLE),
    }


def load_state(
    model: nn.Module, average: nn.Module, optimizer: Optimizer, state: dict[str, Any]
) -> None:
    """Load what :func:`gather_state` returned; all processes must call this with all of it."""
    options = states.StateDictOptions(full_state_dict=_is_sharded(model))
    states.set_model_state_dict(model, state["model"], options=options)
    states.set_model_state_dict(average, state["ema"], options=options)
    options.strict = False  # parameters that no step has used yet have no state
    states.set_optimizer_state_dict(
        model, optimizer, _by_name(model, state["optimizer"]), options=options
    )


def gather_model(model: Model) -> Model:
    """Return a model that is not sharded; all processes must call this.

    If ``model`` is sharded, this is a copy on the CPU, and only the first process gets its weights.
    """
    if not _is_sharded(model):
        return model
    state = states.get_model_state_dict(model, options=WHOLE)
    whole = Model(model.config).eval()
    if state:
        whole.load_state_dict(state)
    return whole


def _is_sharded(model: nn.Module) -> bool:
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def _by_name(model: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """Name the parameters of an optimizer's state, which the first versions stored by number."""
    names: dict[Any, str] = dict(enumerate(name for name, _ in model.named_parameters()))
    groups = state["param_groups"]
    return {
        "state": {names.get(key, key): values for key, values in state["state"].items()},
        "param_groups": [g | {"params": [names.get(k, k) for k in g["params"]]} for g in groups],
    }
