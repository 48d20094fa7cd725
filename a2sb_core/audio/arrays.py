"""Checks and conversions of audio arrays."""

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
    """Return `wave` as a floating-point numpy array, without a copy if it already is one.

    The array has a type and strides that torch can share: float32 or float64 in the byte order of
    the machine, without negative strides. Tensors are recognized by their methods, so that this
    module does not import torch.

    Raises:
        AudioError: the samples are not floating-point numbers.
    """
    if not isinstance(wave, np.ndarray) and hasattr(wave, "detach"):
        tensor = wave.detach().cpu()
        is_short = tensor.dtype.is_floating_point and tensor.dtype.itemsize < 4
        wave = (tensor.float() if is_short else tensor).numpy()
    array = np.asarray(wave)
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"Samples must be floating-point with full scale at 1.0, but these are {array.dtype}. "
            "Convert them first, for example int16 by dividing by 32768."
        )
    dtype = np.float32 if array.dtype.itemsize <= 4 else np.float64
    array = array.astype(dtype, copy=False)
    return array.copy() if any(stride < 0 for stride in array.strides) else array


def as_rate(sample_rate: float) -> int:
    """Return a sample rate in Hz as a whole number.

    Raises:
        AudioError: the rate is not a positive whole number.
    """
    try:
        rate = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        rate = 0
    if rate < 1 or rate != sample_rate:
        raise AudioError(f"the sample rate must be a whole number of Hz above 0, got {sample_rate}")
    return rate


def as_wave(wave: FloatArray | torch.Tensor, where: str) -> FloatArray:
    """Return `wave` as a numpy array of shape (channels, samples).

    Raises:
        AudioError: the array is not two-dimensional, or looks transposed. The message begins with
            `where`.
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
            "(channels, samples); transpose the array if its order is the other one."
        )
    return array


def looks_finite(array: FloatArray) -> bool:
    """Return whether the sum of all samples is finite, which is much faster than a mask.

    True means that all samples are finite. False may also mean samples near the largest float64.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def check_finite(
    wave: FloatArray | torch.Tensor, where: str, *, sample_rate: int, start_s: float = 0.0
) -> None:
    """Check that every sample of `wave` (channels, samples) is a finite number.

    Args:
        wave: the samples.
        where: name of the file or array in the message.
        sample_rate: sample rate in Hz, for the time in the message.
        start_s: time of the first sample in seconds, for blocks of a longer signal.

    Raises:
        AudioError: samples are NaN or infinite. The message states their number, and the time (in
            seconds) and the channel (counted from 1) of the first one.
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
        "the file, or restore these samples as gaps."
    )
