"""Sample rate conversion, on soxr."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numpy as np
import soxr

Wave = TypeVar("Wave", bound=Any)


def resample(wave: Wave, from_rate: int, to_rate: int, length: int | None = None) -> Wave:
    """Convert audio (channels, samples), an array or a tensor, to another sample rate.

    Args:
        wave: float samples; returned as it is where nothing is to be done.
        from_rate: Hz.
        to_rate: Hz.
        length: samples of the result; by default ceil(samples x to_rate / from_rate).

    Returns:
        What came in, an array or a tensor, of the same precision.
    """
    length = length or math.ceil(wave.shape[-1] * to_rate / from_rate)
    if from_rate == to_rate and length == wave.shape[-1]:
        return wave
    samples: Any = wave
    is_tensor = not isinstance(wave, np.ndarray)
    if is_tensor:
        samples = samples.detach().cpu().numpy()
    if from_rate != to_rate:
        samples = soxr.resample(samples.T, from_rate, to_rate, quality="VHQ").T
    samples = samples[:, :length]
    samples = np.pad(samples, ((0, 0), (0, length - samples.shape[1])))
    samples = np.ascontiguousarray(samples)
    if is_tensor:
        import torch

        samples = torch.from_numpy(samples)
    return cast(Wave, samples)
