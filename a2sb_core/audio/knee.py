"""Find and locate the knee of a low-pass in a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

# A knee is a fall of this much from just below a frequency to everything above it. Full-band
# music stays under 12 dB there; a low-pass over tape hiss at -70 dB still makes more than 20 dB.
MIN_DROP_DB = 20.0
# Knees are searched from here: below lie the gaps between notes, and no carrier is so narrow.
MIN_KNEE_HZ = 1_500.0
# "Just below": ends under the transition band of usual sample rate converters (from 91 % on).
BELOW = (0.80, 0.90)
# "Above" starts so much higher than the frequency looked at, to pass the edge itself.
ABOVE = 1.01
# The last bins before Nyquist belong to converter filters.
TOP_SHARE = 0.985
# Lone tones above the knee (a pilot or line tone) must not count as content: a median over this
# width drops what is narrower than its half.
TONE_FILTER_HZ = 170.0
# Frequencies looked at per octave: steps of 0.5 %, half of what is to be told apart.
STEPS_PER_OCTAVE = 140

# Where the floor is measured, relative to a first guess of the knee.
FLOOR_SHARE = (1.03, 1.12)
# The last place where the level stands out of the floor is looked for here, relative to the guess,
# and looked for again from there when it lies at the border.
END_SHARE = (0.90, 1.05)
MAX_MOVES = 3
# "Standing out" of the floor; and no deeper than this below the music, where filters still leak.
OVER_FLOOR_DB = 6.0
DEEPEST_DB = 48.0
# Bins averaged before the comparison, so that the scatter of a short noise is not taken for music.
SMOOTH_BINS = 5

# The fit compares spectra in this range, relative to that last place: mostly the fall itself,
# because the music below it is uneven.
FIT_SHARE = (0.93, 1.02)
# What is tried: the middle of the transition relative to that place, its relative width, and the
# level of the music next to it in dB relative to the median just below.
FIT_PLACES = np.linspace(0.955, 1.005, 51)
FIT_WIDTHS = (0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.013)
FIT_LEVELS_DB = np.arange(-18.0, 13.0, 3.0)
# The analysis window itself widens an edge by about so many bins, and its skirt by so many.
WINDOW_WIDTH_BINS = 0.9
WINDOW_SKIRT_BINS = 4.0
# A sample rate converter's transition has this relative width, and energy ends at its end, so many
# widths above the middle. Steeper filters are named by their middle.
CONVERTER_WIDTH = 0.008
END_WIDTHS = 3.75
# Energy that stood out of the floor is never above the answer: it ends at least this much higher.
END_MARGIN = 0.003

_Z = np.linspace(-6.0, 6.0, 1201)
_TRANSITION_DB = np.array([20 * math.log10(0.5 * math.erfc(z / math.sqrt(2))) for z in _Z])


@dataclass(frozen=True)
class Edge:
    """A place where a level falls: roughly where (Hz), by how much, and whether it is a knee."""

    freq_hz: float
    drop_db: float
    is_knee: bool


def steepest_drop(freqs_hz: Array, level_db: Array, top_hz: float) -> Edge:
    """Find the lowest knee, or the steepest fall when there is none.

    Args:
        freqs_hz: evenly spaced frequencies from 0, shape (bins,).
        level_db: the level at them, shape (bins,).
        top_hz: end of the usable spectrum.
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
    # The fall is the same from the knee to well above it: its first half-way point is the knee.
    place = first + int((run >= max(MIN_DROP_DB, run.max() - 3.0)).argmax())
    return Edge(float(tried_hz[place]), float(run.max()), True)


def _drop_db(level_db: Array, highest_above_db: Array, position: float) -> float:
    """How far the level falls from just below a place (in bins) to the highest of all above."""
    below = level_db[int(BELOW[0] * position) : int(BELOW[1] * position) + 1]
    return float(np.median(below) - highest_above_db[int(ABOVE * position)])


def _running_median(values: Array, width: int) -> Array:
    padded = np.pad(values, width // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    median: Array = np.median(windows, axis=1)
    return median


def fit_knee_hz(freqs_hz: Array, power: Array, guess_hz: float, top_hz: float) -> float:
    """Locate a knee near `guess_hz`: the frequency where the energy ends, in Hz.

    Args:
        freqs_hz: evenly spaced frequencies from 0, shape (bins,).
        power: mean power at them, shape (bins,).
        guess_hz: roughly where the knee is.
        top_hz: end of the usable spectrum.
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
    """Level of the floor above and of the music below a place."""
    position = around_hz / bin_hz
    last = int(top_hz / bin_hz)
    first = min(int(FLOOR_SHARE[0] * position), last - 1)
    above = level_db[first : max(min(int(FLOOR_SHARE[1] * position), last), first + 1) + 1]
    below = level_db[int(BELOW[0] * position) : int(BELOW[1] * position) + 1]
    return float(np.median(above)), float(np.median(below))


def _fit_transition(
    freqs_hz: Array, power: Array, last_hz: float, levels_db: tuple[float, float]
) -> tuple[float, float]:
    """Middle (Hz) and relative width of the low-pass transition that ends near `last_hz`.

    The model is music of one level, times the transition, plus a flat floor.
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
