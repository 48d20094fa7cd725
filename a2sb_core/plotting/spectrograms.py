"""Spectrograms on the mel scale, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from a2sb_core.interfaces import Marks

Array = npt.NDArray[np.floating[Any]]

N_FFT, HOP = 2048, 256
ROWS = 320
FRAMES = 4000
"""Largest number of frames in a picture; longer recordings get a longer hop."""
RANGE_DB = 80.0
COLUMNS = 3
"""Largest number of panels side by side."""
TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)


def spectrogram_figure(
    path: Path,
    title: str,
    panels: Sequence[tuple[str, Array]],
    sample_rate: int,
    marks: Marks | None = None,
    shown_s: tuple[float, float] | None = None,
) -> None:
    """Draw recordings side by side on one colour scale, in rows of at most ``COLUMNS``.

    Args:
        path: the PNG file to write.
        title: title of the whole figure.
        panels: a title and audio (channels, samples) for each, all of one length.
        sample_rate: sample rate of the audio, in Hz.
        marks: frequencies and stretches of time that are marked by lines.
        shown_s: the stretch (start, end) in seconds that is shown; default: everything.
    """
    from matplotlib.figure import Figure

    rows = -(-len(panels) // COLUMNS)
    columns = -(-len(panels) // rows)
    size = (5 * columns + 1, 4.8 if rows == 1 else 4.1 * rows + 0.4)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    levels = mel_levels([wave for _, wave in panels], sample_rate)
    duration_s = panels[0][1].shape[-1] / sample_rate
    for axis, level, (name, _) in zip(grid.flat, levels, panels, strict=False):
        image = axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, duration_s, 0, _mel(sample_rate / 2)),
            cmap="magma",
            vmin=-RANGE_DB,
            vmax=0,
            interpolation="nearest",
        )
        axis.set_title(name, fontsize=11)
        axis.set_xlim(shown_s or (0, duration_s))
        _draw_marks(axis, marks or Marks())
    for axis in grid.flat[len(panels) :]:
        axis.set_visible(False)
    _label_axes(grid, len(panels), sample_rate)
    figure.colorbar(image, ax=grid, label="level (dB, loudest = 0)", pad=0.01)
    figure.savefig(path)


def spectrogram_images(paths: Sequence[Path], waves: Sequence[Array], sample_rate: int) -> None:
    """Draw recordings (channels, samples) on one colour scale, without axes, as PNG files."""
    from matplotlib.image import imsave

    for path, level in zip(paths, mel_levels(waves, sample_rate), strict=True):
        imsave(path, level, vmin=-RANGE_DB, vmax=0, cmap="magma", origin="lower")


def mel_levels(waves: Sequence[Array], sample_rate: int) -> list[Array]:
    """Return mel spectrograms of recordings (channels, samples), the mean of their channels.

    Returns:
        Levels (ROWS, frames) in dB, 0 at the highest of all; rows are evenly spaced in mel.
    """
    levels = [_level_db(wave.mean(axis=0), sample_rate) for wave in waves]
    top_db = max(float(level.max()) for level in levels)
    return [level - top_db for level in levels]


def place(hz: float, sample_rate: int) -> float:
    """Return the height of a frequency in a spectrogram, 0 at the bottom and 1 at the top."""
    return _mel(hz) / _mel(sample_rate / 2)


def _draw_marks(axis: Any, marks: Marks) -> None:
    for edge_s in np.ravel(marks.stretches_s):
        axis.axvline(edge_s, color="white", linewidth=0.8, linestyle=":")
    for hz in marks.frequencies_hz:
        axis.axhline(_mel(hz), color="cyan", linewidth=0.8, linestyle="--")


def _label_axes(grid: Any, count: int, sample_rate: int) -> None:
    for axis in grid.flat[count - grid.shape[1] : count]:
        axis.set_xlabel("time (s)")
        axis.tick_params(labelbottom=True)
    shown = [hz for hz in TICKS_HZ if hz < sample_rate / 2] + [sample_rate / 2]
    for axis in grid[:, 0]:
        axis.set_ylabel("frequency (kHz), mel scale")
        axis.set_yticks([_mel(hz) for hz in shown], [f"{hz / 1000:.2g}" for hz in shown])


def _level_db(wave: Array, sample_rate: int) -> Array:
    """Return the level of (T,) audio in dB, (ROWS, frames).

    Each row is the mean of the power spectrum between its edges. Triangular mel filters would be
    empty at low frequencies, where the rows are narrower than the bins.
    """
    padded = np.pad(wave, N_FFT // 2)
    hop = max(HOP, len(wave) // FRAMES)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2
    edges_hz = 700 * (10 ** (np.linspace(0, _mel(sample_rate / 2), ROWS + 1) / 2595) - 1)
    means = (power[:, 1:] + power[:, :-1]) / 2
    integral = np.concatenate([np.zeros((len(power), 1)), np.cumsum(means, axis=1)], axis=1)
    bins = np.clip(edges_hz * N_FFT / sample_rate, 0, N_FFT // 2)
    low = np.minimum(bins.astype(int), N_FFT // 2 - 1)
    at_edges = integral[:, low] + (bins - low) * (integral[:, low + 1] - integral[:, low])
    rows = np.diff(at_edges, axis=1) / np.diff(bins)
    level: Array = 10 * np.log10(np.maximum(rows, 1e-12)).T
    return level


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))
