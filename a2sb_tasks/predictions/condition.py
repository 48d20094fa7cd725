"""What a network is told besides x_t."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Tell = Literal["nothing", "missing", "known"]


def condition_channels(tell: Tell, channels: int) -> int:
    """Return how many channels :func:`condition` makes."""
    return {"nothing": 0, "missing": 1, "known": channels + 1}[tell]


def condition(tell: Tell, x1: Tensor, missing: Tensor | None) -> Tensor | None:
    """Build the condition (B, k, F, W) or None.

    ``missing`` tells the missing region as one channel; ``known`` besides that the observed
    content, zero where missing. Where everything may change (``missing`` None), all of x1 is told.
    """
    if tell == "nothing":
        return None
    region = torch.ones_like(x1[:, :1]) if missing is None else missing.to(x1.dtype)
    region = region.expand(len(x1), 1, *x1.shape[2:])
    if tell == "missing":
        return region
    known = x1 if missing is None else x1.masked_fill(missing, 0)
    return torch.cat([region, known], dim=1)
