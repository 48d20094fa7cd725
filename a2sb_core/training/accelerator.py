"""The processes and the device of a training run, by Accelerate."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list

from a2sb_core.config.training import TrainConfig
from a2sb_core.devices.choice import choose_device, choose_precision
from a2sb_core.errors import TrainingError

PATIENCE = timedelta(hours=2)
"""How long the other processes wait while the first one validates."""


def start_accelerator(config: TrainConfig) -> tuple[Accelerator, torch.device]:
    """Start Accelerate on the device of a configuration.

    Raises:
        ModelError: the device is not available.
        TrainingError: one device is named for several processes, or they do not divide the batch.
    """
    chosen = choose_device(config.device)  # an absent device is refused, not replaced by another
    if chosen.type == "cuda" and chosen.index is not None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise TrainingError(
                f"device {config.device} is one device, but there are several processes; use `cuda`"
            )
        torch.cuda.set_device(chosen)
    if config.deterministic and chosen.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    accelerator = Accelerator(
        mixed_precision="no",  # the trainer casts by itself: resuming may set the precision
        cpu=chosen.type == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    processes, accumulate = accelerator.num_processes, config.accumulate
    if config.batch_size % (processes * accumulate):
        raise TrainingError(
            f"batch_size {config.batch_size} must be a multiple of processes x accumulate "
            f"({processes} x {accumulate})"
        )
    return accelerator, chosen if chosen.index is not None else accelerator.device


def agree_on_precision(device: torch.device, precision: str) -> str:
    """Return fp32 or bf16, the same in all processes; the first one measures for ``auto``."""
    chosen: list[str] = [choose_precision(device, precision)]
    broadcast_object_list(chosen)
    return chosen[0]
