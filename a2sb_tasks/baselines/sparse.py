"""Sparse interpolation of gaps (A-SPAIN: Mokry, Zaviska, Rajmic and Vesely 2019)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft
from pydantic import Field

from a2sb_core.interfaces import ComponentConfig
from a2sb_tasks.baselines.gaps import Array, GapFiller

Flags = npt.NDArray[np.bool_]


class Sparse(GapFiller):
    """Fills a gap so that few frequencies approximate each frame that overlaps it.

    Frames are longer than the gap, so that each contains known samples, which are kept. The number
    of frequencies grows until they approximate the frame.
    """

    class Config(ComponentConfig):
        """Settings of the frames and of the iteration."""

        name: str = "sparse"
        span: float = Field(3.0, gt=1)
        """Length of a frame, as a multiple of the length of the gap."""
        window: int = Field(4096, ge=16)
        """Length of the shortest frame, in samples."""
        overlap: int = Field(2, ge=2)
        """Number of frames that overlap at every sample."""
        growth: int = Field(8, ge=1)
        """Number of frequencies that each iteration adds."""
        rounds: int = Field(100, ge=1)
        """Largest number of iterations."""
        tolerance: float = Field(0.01, gt=0, lt=1)
        """Share of the norm of the frame that the approximation may miss."""
        redundancy: int = Field(2, ge=1)
        """Redundancy of the transform: length of the FFT, as a multiple of the frame."""
        memory: float = Field(0.9, ge=0, le=1)
        """Share of the running difference that each iteration keeps. 1 is A-SPAIN, which makes
        long gaps of noisy music far too loud; 0 is hard thresholding."""

    def fill(self, wave: Array, start: int, stop: int, end: int) -> Array:
        """Fill one gap from the frames that overlap it, weighted by their windows."""
        size = self._size(stop - start)
        hop = size // self.config.overlap
        window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
        padded = np.pad(wave[:end], (size, size + max(0, len(wave) - end)))
        known = np.zeros(len(padded), dtype=bool)
        known[size : size + end] = True
        known[size + start : size + stop] = False
        filled, weight = np.zeros_like(padded), np.zeros_like(padded)
        middle = size + (start + stop) // 2
        for place in range(-2 * self.config.overlap, 2 * self.config.overlap + 1):
            first = middle - size // 2 + place * hop
            part = slice(first, first + size)
            over = first < size + stop and first + size > size + start
            if not over or first < 0 or first + size > len(padded):
                continue
            filled[part] += self.explain(padded[part] * window, known[part])
            weight[part] += window
        gap = slice(size + start, size + stop)
        return filled[gap] / np.maximum(weight[gap], 1e-9)

    def _size(self, gap: int) -> int:
        """Return the length of a frame in samples, which is fast to transform."""
        least = max(self.config.window, int(self.config.span * gap))
        overlap: int = self.config.overlap
        return overlap * int(scipy.fft.next_fast_len(-(-least // overlap)))

    def explain(self, frame: Array, known: Flags) -> Array:
        """Fill the unknown samples of a windowed frame (N,) by ADMM with hard thresholding.

        With A the transform, x the frame, z its sparse transform and u the running difference:
        z = the k largest of A x + u; x = A*(z - u) with the known samples put back;
        u = memory (u + A x - z); k grows. The iteration ends when ||A x - z|| is small.
        """
        size = len(frame)
        bins = self.config.redundancy * size
        given = np.where(known, frame, 0).astype(np.float32)
        x, spectrum = given, scipy.fft.rfft(given, bins)
        difference = np.zeros_like(spectrum)
        enough = self.config.tolerance * np.linalg.norm(spectrum)
        for count in range(self.config.growth, len(spectrum), self.config.growth):
            sparse = keep_largest(spectrum + difference, count)
            if np.linalg.norm(spectrum - sparse) <= enough:
                break
            x = np.where(known, given, scipy.fft.irfft(sparse - difference, bins)[:size])
            spectrum = scipy.fft.rfft(x, bins)
            difference = self.config.memory * (difference + spectrum - sparse)
            if count >= self.config.growth * self.config.rounds:
                break
        return x.astype(np.float64)


def keep_largest(
    values: npt.NDArray[np.complexfloating], count: int
) -> npt.NDArray[np.complexfloating]:
    """Set all but the ``count`` largest values (N,) to zero."""
    size = np.abs(values)
    threshold = np.partition(size, -count)[-count]
    return np.where(size >= threshold, values, 0)
