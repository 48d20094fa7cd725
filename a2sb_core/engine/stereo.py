"""What of two channels is restored: left and right, middle and side, or their mean."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from a2sb_core.errors import TaskError

Stereo = Literal["lr", "ms", "mono"]


def check_stereo(stereo: str, channels: int) -> None:
    """Refuse what can not be done with so many channels.

    Raises:
        TaskError: the name is unknown, or middle and side are asked of more than two channels.
    """
    if stereo not in get_args(Stereo):
        raise TaskError(f"unknown stereo mode `{stereo}`; use one of {', '.join(get_args(Stereo))}")
    if stereo == "ms" and channels > 2:
        raise TaskError(f"stereo mode `ms` needs two channels, and there are {channels}: use `lr`")


def form(block: Tensor, stereo: Stereo) -> Tensor:
    """Turn audio (C, T) into what is restored: (C, T), or (1, T) for ``mono``.

    Middle and side are (L + R)/sqrt 2 and (L - R)/sqrt 2, in double precision, so that going back
    gives the very samples. A single channel stays as it is.
    """
    if stereo == "lr" or len(block) == 1:
        return block
    if stereo == "mono":
        return block.mean(dim=0, keepdim=True)
    return _rotate(block.double())


def restore_form(block: Tensor, stereo: Stereo, dtype: torch.dtype) -> Tensor:
    """Turn what :func:`form` made back, in a precision; mono stays mono."""
    is_rotated = stereo == "ms" and len(block) == 2
    return (_rotate(block.double()) if is_rotated else block).to(dtype)


def channels_of(stereo: Stereo, channels: int) -> int:
    """Return the channels of the result."""
    return 1 if stereo == "mono" else channels


def _rotate(pair: Tensor) -> Tensor:
    """Its own inverse."""
    return torch.stack([pair[0] + pair[1], pair[0] - pair[1]]) / math.sqrt(2)
