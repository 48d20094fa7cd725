"""Spectrograms side by side, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

N_FFT, HOP = 2048, 256
ROWS = 320
FRAMES = 4000
"""More frames than that are not drawn, however long the recording."""
RANGE_DB = 80.0
COLUMNS = 3
"""More panels than that go into further rows."""
TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)


def spectrogram_figure(
    path: Path, title: str, panels: Sequence[tuple[str, Array]], sample_rate: int,
    gaps_s: Sequence[tuple[float, float]] = (), shown_s: tuple[float, float] | None = None,
    cutoff_hz: float | None = None,
) -> None:
    """Draw recordings side by side on one colour scale, frequencies on the mel scale.

    More than ``COLUMNS`` of them stand in several rows.

    Args:
        path: the PNG file to write.
        title: of the whole figure.
        panels: a title and audio (channels, samples) for each, all of one length.
        sample_rate: Hz.
        gaps_s: stretches in seconds whose edges are marked.
        shown_s: the stretch in seconds that is shown; all by default.
        cutoff_hz: a frequency that is marked.
    """
    from matplotlib.figure import Figure

    levels = [_level_db(wave.mean(axis=0), sample_rate) for _, wave in panels]
    top_db = max(float(level.max()) for level in levels)
    levels = [level - top_db for level in levels]
    duration_s = panels[0][1].shape[-1] / sample_rate
    rows = -(-len(panels) // COLUMNS)
    columns = -(-len(panels) // rows)
    size = (5 * columns + 1, 4.8 if rows == 1 else 4.1 * rows + 0.4)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    extent = (0, duration_s, 0, _mel(sample_rate / 2))
    for axis, level, (name, _) in zip(grid.flat, levels, panels, strict=False):
        image = axis.imshow(
            level, origin="lower", aspect="auto", extent=extent, cmap="magma",
            vmin=-RANGE_DB, vmax=0, interpolation="nearest",
        )
        axis.set_title(name, fontsize=11)
        axis.set_xlim(shown_s or (0, duration_s))
        for edge in np.ravel(gaps_s):
            axis.axvline(edge, color="white", linewidth=0.8, linestyle=":")
        if cutoff_hz is not None:
            axis.axhline(_mel(cutoff_hz), color="cyan", linewidth=0.8, linestyle="--")
    for axis in grid.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in grid.flat[len(panels) - columns : len(panels)]:
        axis.set_xlabel("time (s)")
        axis.tick_params(labelbottom=True)
    shown = [hz for hz in TICKS_HZ if hz < sample_rate / 2] + [sample_rate / 2]
    for axis in grid[:, 0]:
        axis.set_ylabel("frequency (kHz), mel scale")
        axis.set_yticks([_mel(hz) for hz in shown], [f"{hz / 1000:.2g}" for hz in shown])
    figure.colorbar(image, ax=grid, label="level (dB, loudest = 0)", pad=0.01)
    figure.savefig(path)


def spectrogram_images(
    paths: Sequence[Path], waves: Sequence[Array], sample_rate: int
) -> None:
    """Draw recordings (channels, samples) on one scale, without axes: time by mel, as PNG."""
    from matplotlib.image import imsave

    levels = [_level_db(wave.mean(axis=0), sample_rate) for wave in waves]
    top_db = max(float(level.max()) for level in levels)
    for path, level in zip(paths, levels, strict=True):
        imsave(path, level, vmin=top_db - RANGE_DB, vmax=top_db, cmap="magma", origin="lower")


def place(hz: float, sample_rate: int) -> float:
    """Return where a frequency stands on the mel scale, 0 at the bottom and 1 at the top."""
    return _mel(hz) / _mel(sample_rate / 2)


def _level_db(wave: Array, sample_rate: int) -> Array:
    """Return the level of (T,) audio in dB, (ROWS, frames), rows evenly spaced in mel."""
    padded = np.pad(wave, N_FFT // 2)
    hop = max(HOP, len(wave) // FRAMES)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2
    edges_hz = _hertz(np.linspace(0, _mel(sample_rate / 2), ROWS + 1))
    # Each row is the mean of the spectrum between its edges: differences of the running integral.
    bins_hz = np.linspace(0, sample_rate / 2, N_FFT // 2 + 1)
    integral = np.concatenate(
        [np.zeros((len(power), 1)), np.cumsum((power[:, 1:] + power[:, :-1]) / 2, axis=1)], axis=1
    )
    place = np.clip(edges_hz / bins_hz[1], 0, N_FFT // 2)
    low = np.minimum(place.astype(int), N_FFT // 2 - 1)
    at_edges = integral[:, low] + (place - low) * (integral[:, low + 1] - integral[:, low])
    rows = np.diff(at_edges, axis=1) / np.diff(place)
    level: Array = 10 * np.log10(np.maximum(rows, 1e-12)).T
    return level


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _hertz(mel: Array) -> Array:
    hz: Array = 700 * (10 ** (mel / 2595) - 1)
    return hz
