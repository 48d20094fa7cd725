"""Stereo modes: two channels are restored as left and right, middle and side, or their mean."""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor

from a2sb_core.audio.choices import Stereo
from a2sb_core.errors import TaskError


def check_stereo_name(stereo: str) -> None:
    """Check the name of a stereo mode.

    Raises:
        TaskError: the name is unknown.
    """
    if stereo not in get_args(Stereo):
        raise TaskError(f"unknown stereo mode `{stereo}`; use one of {', '.join(get_args(Stereo))}")


def check_stereo(stereo: Stereo, channels: int) -> None:
    """Check that a stereo mode applies to a number of channels.

    Raises:
        TaskError: middle and side are requested for more than two channels.
    """
    if stereo == "ms" and channels > 2:
        raise TaskError(f"stereo mode `ms` needs two channels, but there are {channels}: use `lr`")


def check_together(stereo: Stereo, together: int, channels: int) -> None:
    """Check that a recording has the channels that a model restores together.

    Args:
        stereo: the stereo mode.
        together: number of channels that the representation of the model encodes as one item.
        channels: number of channels of the recording.

    Raises:
        TaskError: the recording has another number of channels, or the mode changes them.
    """
    if together == 1:
        return
    model = f"this model restores {together} channels together"
    if stereo != "lr":
        raise TaskError(f"{model}: use the stereo mode `lr` instead of `{stereo}`")
    if channels != together:
        raise TaskError(f"{model}, but the recording has {channels}: convert it first")


def form(block: Tensor, stereo: Stereo) -> Tensor:
    """Convert audio (C, T) to the channels that are restored: (C, T), or (1, T) for ``mono``.

    Middle and side are (L + R)/sqrt 2 and (L - R)/sqrt 2, in double precision, so that the inverse
    is exact. A single channel is unchanged.
    """
    if stereo == "lr" or len(block) == 1:
        return block
    if stereo == "mono":
        return block.mean(dim=0, keepdim=True)
    return _rotate(block.double())


def restore_form(block: Tensor, stereo: Stereo, dtype: torch.dtype) -> Tensor:
    """Invert :func:`form`, with a result of the given type; mono stays mono."""
    is_rotated = stereo == "ms" and len(block) == 2
    return (_rotate(block.double()) if is_rotated else block).to(dtype)


def channels_of(stereo: Stereo, channels: int) -> int:
    """Return the number of channels of the result."""
    return 1 if stereo == "mono" else channels


def _rotate(pair: Tensor) -> Tensor:
    """Rotate two channels by a map that is its own inverse."""
    return torch.stack([pair[0] + pair[1], pair[0] - pair[1]]) / math.sqrt(2)
