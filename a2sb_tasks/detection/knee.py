"""Detection and location of the knee of a low-pass filter in a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

# A knee is a decrease of at least this amount from just below a frequency to all levels above it.
# It is less than 12 dB in full-band music, and more than 20 dB for a low-pass filter over tape hiss
# at -70 dB.
MIN_DROP_DB = 20.0
# Lowest frequency of a knee. Below it are the gaps between notes, and no medium is that narrow.
MIN_KNEE_HZ = 1_500.0
# Range "just below" a frequency. It ends below the transition band of usual sample rate converters,
# which begins at 91 %.
BELOW = (0.80, 0.90)
# The range "above" a frequency starts at this ratio, beyond the edge itself.
ABOVE = 1.01
# The last bins before the Nyquist frequency belong to the filters of converters.
TOP_SHARE = 0.985
# Single tones above the knee (a pilot or line tone) must not count as content. A median over this
# width removes everything that is narrower than half of it.
TONE_FILTER_HZ = 170.0
# Number of candidate frequencies per octave: steps of 0.5 %, half of the required resolution.
STEPS_PER_OCTAVE = 140

# Range in which the floor is measured, relative to a first estimate of the knee.
FLOOR_SHARE = (1.03, 1.12)
# Range in which the last bin above the floor is searched, relative to the estimate. If it lies at
# the border, the search is repeated from there.
END_SHARE = (0.90, 1.05)
MAX_MOVES = 3
# A bin is above the floor if it exceeds the floor by the first value, and is at most the second
# value below the music, because filters leak below it.
OVER_FLOOR_DB = 6.0
DEEPEST_DB = 48.0
# Number of bins that are averaged before the comparison, so that the variance of short noise is not
# mistaken for music.
SMOOTH_BINS = 5

# Range in which the fit compares spectra, relative to that last bin: mostly the transition itself,
# because the music below it is uneven.
FIT_SHARE = (0.93, 1.02)
# Candidates of the fit: the middle of the transition relative to that bin, its relative width, and
# the level of the music next to it in dB relative to the median just below.
FIT_PLACES = np.linspace(0.955, 1.005, 51)
FIT_WIDTHS = (0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.013)
FIT_LEVELS_DB = np.arange(-18.0, 13.0, 3.0)
# Numbers of bins by which the analysis window widens an edge, and the skirt of an edge.
WINDOW_WIDTH_BINS = 0.9
WINDOW_SKIRT_BINS = 4.0
# The transition of a sample rate converter has this relative width, and its energy ends this many
# widths above the middle. The cutoff of steeper filters is their middle.
CONVERTER_WIDTH = 0.008
END_WIDTHS = 3.75
# The result is higher than the last bin above the floor by at least this relative margin.
END_MARGIN = 0.003

_Z = np.linspace(-6.0, 6.0, 1201)
_TRANSITION_DB = np.array([20 * math.log10(0.5 * math.erfc(z / math.sqrt(2))) for z in _Z])


@dataclass(frozen=True)
class Edge:
    """A decrease of a level: its approximate frequency, its size, and whether it is a knee."""

    freq_hz: float
    drop_db: float
    is_knee: bool


def steepest_drop(freqs_hz: Array, level_db: Array, top_hz: float) -> Edge:
    """Find the lowest knee, or the largest decrease if there is no knee.

    Args:
        freqs_hz: evenly spaced frequencies from 0 in Hz, (bins,).
        level_db: level at these frequencies in dB, (bins,).
        top_hz: end of the usable spectrum, in Hz.
    """
    bin_hz = float(freqs_hz[1])
    last = min(int(TOP_SHARE * top_hz / bin_hz), len(level_db) - 1)
    highest_hz = last * bin_hz / (ABOVE + 0.005)
    if highest_hz <= MIN_KNEE_HZ:
        return Edge(0.0, 0.0, False)
    steps = max(2, round(STEPS_PER_OCTAVE * math.log2(highest_hz / MIN_KNEE_HZ)))
    tried_hz = np.geomspace(MIN_KNEE_HZ, highest_hz, steps)
    untoned = _running_median(level_db[: last + 1], 2 * round(TONE_FILTER_HZ / bin_hz / 2) + 1)
    highest_above = np.maximum.accumulate(untoned[::-1])[::-1]
    drop_db = np.array([_drop_db(level_db, highest_above, f / bin_hz) for f in tried_hz])
    is_knee = drop_db >= MIN_DROP_DB
    if not is_knee.any():
        best = int(drop_db.argmax())
        return Edge(float(tried_hz[best]), max(0.0, float(drop_db[best])), False)
    first = int(is_knee.argmax())
    length = int((~is_knee[first:]).argmax()) or len(is_knee) - first
    run = drop_db[first : first + length]
    # The decrease is constant from the knee to well above it, so the knee is its first large value.
    place = first + int((run >= max(MIN_DROP_DB, run.max() - 3.0)).argmax())
    return Edge(float(tried_hz[place]), float(run.max()), True)


def _drop_db(level_db: Array, highest_above_db: Array, position: float) -> float:
    """Return the decrease from just below a position (in bins) to the highest level above it."""
    below = level_db[int(BELOW[0] * position) : int(BELOW[1] * position) + 1]
    return float(np.median(below) - highest_above_db[int(ABOVE * position)])


def _running_median(values: Array, width: int) -> Array:
    padded = np.pad(values, width // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    median: Array = np.median(windows, axis=1)
    return median


def fit_knee_hz(freqs_hz: Array, power: Array, guess_hz: float, top_hz: float) -> float:
    """Locate a knee near `guess_hz`: return the frequency at which the energy ends, in Hz.

    Args:
        freqs_hz: evenly spaced frequencies from 0 in Hz, (bins,).
        power: mean power at these frequencies, (bins,).
        guess_hz: first estimate of the knee, in Hz.
        top_hz: end of the usable spectrum, in Hz.
    """
    bin_hz = float(freqs_hz[1])
    top_hz = TOP_SHARE * min(top_hz, float(freqs_hz[-1]))
    smooth = np.convolve(power, np.full(SMOOTH_BINS, 1 / SMOOTH_BINS), mode="same")
    level_db = 10 * np.log10(np.maximum(smooth, 1e-30))
    last_hz = guess_hz
    for _ in range(MAX_MOVES):
        around_hz = last_hz
        floor_db, music_db = _levels_db(level_db, bin_hz, around_hz, top_hz)
        threshold_db = max(floor_db + OVER_FLOOR_DB, music_db - DEEPEST_DB)
        first = int(END_SHARE[0] * around_hz / bin_hz)
        end = int(min(END_SHARE[1] * around_hz, top_hz) / bin_hz) + 1
        loud = np.flatnonzero(level_db[first:end] >= threshold_db)
        last_hz = (first + int(loud[-1])) * bin_hz if len(loud) else around_hz
        if last_hz < 0.99 * END_SHARE[1] * around_hz:
            break
    middle_hz, width = _fit_transition(freqs_hz, power, last_hz, (floor_db, music_db))
    reach = END_WIDTHS * width * min(1.0, width / CONVERTER_WIDTH) ** 2
    least_hz = last_hz * (1 + END_MARGIN) - WINDOW_SKIRT_BINS * bin_hz
    return min(max(middle_hz * (1 + reach), least_hz), float(freqs_hz[-1]))


def _levels_db(
    level_db: Array, bin_hz: float, around_hz: float, top_hz: float
) -> tuple[float, float]:
    """Return the level of the floor above a frequency and of the music below it, in dB."""
    position = around_hz / bin_hz
    last = int(top_hz / bin_hz)
    first = min(int(FLOOR_SHARE[0] * position), last - 1)
    above = level_db[first : max(min(int(FLOOR_SHARE[1] * position), last), first + 1) + 1]
    below = level_db[int(BELOW[0] * position) : int(BELOW[1] * position) + 1]
    return float(np.median(above)), float(np.median(below))


def _fit_transition(
    freqs_hz: Array, power: Array, last_hz: float, levels_db: tuple[float, float]
) -> tuple[float, float]:
    """Fit the low-pass transition that ends near `last_hz`; return its middle (Hz) and width.

    The width is relative. The model is music of one level, times the transition, plus a flat floor.
    """
    bin_hz = float(freqs_hz[1])
    at = slice(int(FIT_SHARE[0] * last_hz / bin_hz), int(FIT_SHARE[1] * last_hz / bin_hz) + 1)
    seen_db = 10 * np.log10(np.maximum(power[at], 1e-30))
    floor = 10 ** (levels_db[0] / 10)
    music = 10 ** ((levels_db[1] + FIT_LEVELS_DB[:, None, None]) / 10)
    best = (math.inf, last_hz, 0.0)
    for width in FIT_WIDTHS:
        spread_hz = math.hypot(width * last_hz, WINDOW_WIDTH_BINS * bin_hz)
        z = (freqs_hz[at] - FIT_PLACES[:, None] * last_hz) / spread_hz
        passed = 10 ** (np.interp(z, _Z, _TRANSITION_DB) / 10)
        model_db = 10 * np.log10(music * passed + floor)
        error = np.abs(model_db - seen_db).mean(axis=-1).min(axis=0)
        place = int(error.argmin())
        best = min(best, (float(error[place]), float(FIT_PLACES[place]) * last_hz, width))
    return best[1], best[2]
