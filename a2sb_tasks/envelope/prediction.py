"""Prediction of the power of missing content by the shipped envelope model."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor

from a2sb_tasks.envelope.bands import FRAMES, at_bins, levels_db
from a2sb_tasks.envelope.model import REACH, EnvelopeModel

WEIGHTS = "envelope.safetensors"
REACH_FRAMES = (REACH + 2) * FRAMES
"""Frames on each side from which the power of a frame is predicted."""


@lru_cache(maxsize=2)
def shipped_model(device: torch.device) -> EnvelopeModel:
    """Return the shipped model in evaluation mode; it is loaded once for each device."""
    data = resources.files("a2sb_tasks.envelope").joinpath(WEIGHTS).read_bytes()
    weights = load(data)
    model = EnvelopeModel(width=weights["first.weight"].shape[0])
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval().requires_grad_(False).to(device)


def predicted_power(
    power: Tensor, known: Tensor, freqs_hz: Tensor, start: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the smooth power of known content and the expected one of missing content.

    Args:
        power: power of a spectrogram (B, F, W); its values count only where they are known.
        known: boolean tensor, broadcastable to (B, F, W).
        freqs_hz: frequencies of the rows in Hz, (F,).
        start: number of the first frame in the recording.

    Returns:
        Two powers (B, F, W), smooth over third-octaves and 46 ms: that of the known content as
        measured, and the expected one, which is the measured one in bands that are mostly known.
    """
    levels, share = levels_db(power, known, freqs_hz, start)
    mostly = share > 0.5  # the model was trained with bands that are known as a whole, or not
    expected, _ = shipped_model(power.device)(levels, mostly.to(levels.dtype))
    frames = power.shape[-1]
    measured = at_bins(levels, freqs_hz, frames, start)
    joined = at_bins(torch.where(mostly, levels, expected), freqs_hz, frames, start)
    return 10 ** (measured / 10), 10 ** (joined / 10)


def smooth_power(power: Tensor, freqs_hz: Tensor, start: int = 0) -> Tensor:
    """Return the power of a spectrogram (B, F, W), smooth as by :func:`predicted_power`.

    Args:
        power: power of a spectrogram, all of it known.
        freqs_hz: frequencies of the rows in Hz, (F,).
        start: number of the first frame in the recording.
    """
    every = torch.ones((), dtype=torch.bool, device=power.device)
    levels, _ = levels_db(power, every, freqs_hz, start)
    return 10 ** (at_bins(levels, freqs_hz, power.shape[-1], start) / 10)
