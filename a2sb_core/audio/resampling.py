"""Resampling of a waveform, whole or block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import soxr

from a2sb_core.audio.arrays import FloatArray, as_wave
from a2sb_core.errors import AudioError

if TYPE_CHECKING:
    import torch

# The best quality of soxr. It is slower than the default, but still fast compared to a network.
QUALITY = "VHQ"

Wave = TypeVar("Wave", FloatArray, "torch.Tensor")


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """Return the number of samples after resampling: the exact ratio, rounded up."""
    return -(-samples * to_rate // from_rate)


def resample(wave: Wave, from_rate: int, to_rate: int, length: int | None = None) -> Wave:
    """Resample a waveform without shifting it in time.

    Args:
        wave: samples of shape (channels, samples), numpy array or tensor. The result has the type
            and the device of `wave`.
        from_rate: sample rate of `wave`, in Hz.
        to_rate: sample rate of the result, in Hz.
        length: number of samples of the result (default: `resampled_length`). A longer result is
            cut, and a shorter one is padded with zeros.

    Returns:
        The waveform of shape (channels, length); `wave` itself if nothing changes.

    Raises:
        AudioError: the shape, a rate or the length is invalid.
    """
    _check_rates(from_rate, to_rate)
    if wave.ndim != 2:
        as_wave(wave, "resampling")
    if length is None:
        length = resampled_length(int(wave.shape[1]), from_rate, to_rate)
    if length < 0:
        raise AudioError(f"Cannot resample to {length} samples; the length must not be negative.")
    if from_rate == to_rate and length == wave.shape[1]:
        return wave
    array = as_wave(wave, "resampling")
    if from_rate != to_rate:
        array = soxr.resample(array.T, from_rate, to_rate, quality=QUALITY).T
    array = _fit_length(array, length)
    if isinstance(wave, np.ndarray):
        return array.astype(wave.dtype, copy=False)
    import torch

    return torch.from_numpy(array).to(device=wave.device, dtype=wave.dtype)


def _check_rates(*rates_hz: int) -> None:
    for rate_hz in rates_hz:
        if rate_hz <= 0:
            raise AudioError(f"A sample rate must be positive, got {rate_hz} Hz.")


def _fit_length(array: FloatArray, length: int) -> FloatArray:
    missing = length - array.shape[1]
    if missing > 0:
        array = np.pad(array, ((0, 0), (0, missing)))
    return np.ascontiguousarray(array[:, :length])


class StreamResampler:
    """Resamples a signal that arrives in blocks, with the result of resampling it as a whole.

    Call `push` for each block, then `finish` once. Together, the results have exactly
    `resampled_length` samples.

    Args:
        from_rate: sample rate of the blocks, in Hz.
        to_rate: sample rate of the result, in Hz.
        channels: number of channels of every block.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        _check_rates(from_rate, to_rate)
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._finished = False
        self._stream = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality=QUALITY)
        )

    def push(self, block: FloatArray | torch.Tensor) -> FloatArray:
        """Add the next samples (channels, samples); return those that are ready, (channels, n)."""
        if self._finished:
            raise AudioError("This resampler has finished; create a new one for the next signal.")
        array = as_wave(block, "resampling").astype(np.float32, copy=False)
        if array.shape[0] != self.channels:
            raise AudioError(
                f"A block of {array.shape[0]} channels was given to a resampler for "
                f"{self.channels} channels."
            )
        self._taken += array.shape[1]
        return self._convert(array, last=False)

    def finish(self) -> FloatArray:
        """Return the last samples, shape (channels, samples)."""
        if self._finished:
            raise AudioError("This resampler has already finished.")
        self._finished = True
        missing = resampled_length(self._taken, self.from_rate, self.to_rate) - self._given
        rest = self._convert(np.zeros((self.channels, 0), dtype=np.float32), last=True)
        return _fit_length(rest, missing)

    def _convert(self, array: FloatArray, *, last: bool) -> FloatArray:
        if self._stream is not None:
            frames = np.ascontiguousarray(array.T)
            array = np.ascontiguousarray(self._stream.resample_chunk(frames, last=last).T)
        self._given += array.shape[1]
        return array
