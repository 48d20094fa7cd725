"""What every audio module asks of the arrays it is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.floating[Any]]

# libsndfile refuses more channels than this; a larger first axis is nearly always a transposed
# array.
MAX_CHANNELS = 1024


def as_numpy(wave: FloatArray | torch.Tensor) -> FloatArray:
    """Return `wave` as a floating numpy array, without copying when it already is one.

    A tensor is recognized by its methods, so that this module need not import torch.
    """
    if not isinstance(wave, np.ndarray) and hasattr(wave, "detach"):
        tensor = wave.detach().cpu()
        wave = (tensor if tensor.dtype.itemsize >= 4 else tensor.float()).numpy()
    array = np.asarray(wave)
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"Samples must be floating point with full scale at 1.0, but these are {array.dtype}. "
            "Convert them first, for example int16 by dividing by 32768."
        )
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def as_wave(wave: FloatArray | torch.Tensor, where: str) -> FloatArray:
    """Return `wave` as a numpy array of shape (channels, samples).

    Raises:
        AudioError: the array is not two-dimensional, or looks transposed. `where` names it.
    """
    array = as_numpy(wave)
    if array.ndim != 2:
        raise AudioError(
            f"{where}: expected an array of shape (channels, samples), got shape {array.shape}. "
            "Give a mono signal as (1, samples)."
        )
    if not 1 <= array.shape[0] <= MAX_CHANNELS:
        raise AudioError(
            f"{where}: shape {array.shape} would mean {array.shape[0]} channels. The order is "
            "(channels, samples); transpose the array if it is the other way round."
        )
    return array


def looks_finite(array: FloatArray) -> bool:
    """Whether all samples are surely finite, by way of their sum: much quicker than a mask.

    False may still mean finite samples near the largest float64.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def check_finite(
    wave: FloatArray | torch.Tensor, where: str, *, sample_rate: int, start_s: float = 0.0
) -> None:
    """Raise unless every sample of `wave` (channels, samples) is a finite number.

    Args:
        wave: the samples.
        where: the file or array, named in the message.
        sample_rate: in Hz, to tell the time.
        start_s: time of the first sample, for blocks of a longer signal.

    Raises:
        AudioError: names how many samples are NaN or infinite, and the time (in seconds) and the
            channel (counted from 1) of the first one.
    """
    array = as_wave(wave, where)
    if looks_finite(array):
        return
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if count == 0:
        return
    sample = int(bad.any(axis=0).argmax())
    channel = int(bad[:, sample].argmax()) + 1
    raise AudioError(
        f"{where}: {count} of {array.size} samples are not numbers (NaN or infinite), the first "
        f"at {start_s + sample / sample_rate:.3f} s in channel {channel}. Repair or re-export "
        "the file, or treat the places as gaps to fill."
    )
