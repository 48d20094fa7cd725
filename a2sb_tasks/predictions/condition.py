"""Condition of a network: the information that it receives besides x_t."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from a2sb_core.interfaces import State

Tell = Literal["nothing", "missing", "known", "degraded"]


def condition_channels(tell: Tell, channels: int) -> int:
    """Return the number of channels of :func:`condition`."""
    return {"nothing": 0, "missing": 1, "known": channels + 1, "degraded": channels + 1}[tell]


def condition(tell: Tell, state: State) -> Tensor | None:
    """Build the condition (B, k, F, W) of a state; None for ``nothing``.

    ``missing`` gives the missing region as one channel. ``known`` adds the observed content, which
    is zero where content is missing. ``degraded`` adds all of x1, also the start of the bridge in
    place of missing content. If everything may change (``missing`` is None in the state), the
    observed content is all of x1.
    """
    if tell == "nothing":
        return None
    x1, missing = state.x1, state.missing
    region = torch.ones_like(x1[:, :1]) if missing is None else missing.to(x1.dtype)
    region = region.expand(x1.shape[0], 1, *x1.shape[2:])
    if tell == "missing":
        return region
    known = x1 if missing is None or tell == "degraded" else x1.masked_fill(missing, 0)
    return torch.cat([region, known], dim=1)
