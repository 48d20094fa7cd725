"""Find and locate the knee of a low-pass in a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

# A knee is a fall of this much from just below a frequency to everything above it. Full-band
# music stays under 12 dB there; a low-pass over tape hiss at -70 dB still makes 20 dB.
MIN_DROP_DB = 15.0
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

# Regions of the fit, relative to the edge: the slope of the music, its level next to the edge,
# the floor above, and where the model is compared.
FIT_SLOPE = (0.60, 0.90)
FIT_LEVEL = (0.80, 0.90)
FIT_FLOOR = (1.03, 1.12)
FIT_COMPARE = (0.85, 1.08)
# Slopes in dB per octave that music has; a wilder fit comes from lone partials.
SLOPE_RANGE_DB = (-60.0, 20.0)
# Places and transition widths tried, relative to the edge.
FIT_PLACES = np.linspace(0.92, 1.05, 261)
FIT_WIDTHS = (0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.013, 0.02, 0.03)
# The analysis window itself widens an edge by about so many bins.
WINDOW_WIDTH_BINS = 0.9
# A fit at the border of the places is repeated from there, at most so often.
MAX_REFITS = 8
# A sample rate converter's transition has this relative width, and energy ends at its end, three
# widths above the middle. The steep filters below are named by their middle.
CONVERTER_WIDTH = 0.008
END_WIDTHS = 3.75

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
    place = first + int((run >= max(MIN_DROP_DB, run.max() - 6.0)).argmax())
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


def fit_knee_hz(freqs_hz: Array, power: Array, start_hz: float, top_hz: float) -> float:
    """Locate a knee near `start_hz`: the frequency where the energy ends, in Hz.

    Args:
        freqs_hz: evenly spaced frequencies from 0, shape (bins,).
        power: mean power at them, shape (bins,).
        start_hz: roughly where the knee is.
        top_hz: end of the usable spectrum.
    """
    middle_hz, width = start_hz, 0.0
    for _ in range(MAX_REFITS):
        place, width = _fit(freqs_hz, power, middle_hz, top_hz)
        middle_hz *= place
        if FIT_PLACES[0] < place < FIT_PLACES[-1]:
            break
    end = 1 + END_WIDTHS * width * min(1.0, width / CONVERTER_WIDTH) ** 2
    return min(middle_hz * end, float(freqs_hz[-1]))


def _fit(freqs_hz: Array, power: Array, around_hz: float, top_hz: float) -> tuple[float, float]:
    """Best place and width of a low-pass transition, both relative to `around_hz`.

    The model is music of a constant slope, times the transition, plus a flat floor.
    """
    bin_hz = float(freqs_hz[1])
    octaves = np.log2(np.maximum(freqs_hz, bin_hz) / around_hz)
    level_db = 10 * np.log10(np.maximum(power, 1e-30))
    last = int(TOP_SHARE * top_hz / bin_hz)

    def region(share: tuple[float, float]) -> slice:
        first = min(int(share[0] * around_hz / bin_hz), last - 1)
        return slice(first, max(first + 2, min(int(share[1] * around_hz / bin_hz), last) + 1))

    at = region(FIT_SLOPE)
    slope = float(np.clip(np.polyfit(octaves[at], level_db[at], 1)[0], *SLOPE_RANGE_DB))
    at = region(FIT_LEVEL)
    edge_db = float(np.median(level_db[at] - slope * octaves[at]))
    floor = float(np.median(power[region(FIT_FLOOR)]))
    at = region(FIT_COMPARE)
    music = 10 ** ((edge_db + slope * octaves[at]) / 10)
    best = (math.inf, 1.0, 0.0)
    for width in FIT_WIDTHS:
        spread = math.hypot(width * around_hz, WINDOW_WIDTH_BINS * bin_hz)
        z = (freqs_hz[at] - FIT_PLACES[:, None] * around_hz) / spread
        passed = 10 ** (np.interp(z, _Z, _TRANSITION_DB) / 10)
        model_db = 10 * np.log10(music * passed + floor + 1e-30)
        error = np.abs(model_db - level_db[at]).mean(axis=1)
        place = int(error.argmin())
        best = min(best, (float(error[place]), float(FIT_PLACES[place]), width))
    return best[1], best[2]
