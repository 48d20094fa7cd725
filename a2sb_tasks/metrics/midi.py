"""Notes of MIDI files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from a2sb_core.interfaces import A2SBError

Notes = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Start and end in seconds, (N, 2), and pitches in Hz, (N,)."""

PERCUSSION = 9
"""Channel whose numbers are instruments and no pitches."""
SHORTEST_S = 0.001
"""Shortest note: comparisons need notes of a positive length."""


def notes_of(numbers: npt.ArrayLike, intervals: npt.ArrayLike) -> Notes:
    """Return notes of MIDI numbers (N,), also fractions, and their times in seconds (N, 2)."""
    pitches = 440 * 2 ** ((np.asarray(numbers, dtype=np.float64) - 69) / 12)
    return np.asarray(intervals, dtype=np.float64).reshape(-1, 2), pitches


def read_midi(path: Path) -> Notes:
    """Read the notes of a Standard MIDI File, with its changes of tempo, without percussion.

    A note ends with its key; the pedal does not prolong it.

    Raises:
        A2SBError: the package mido is not installed, or the file is no MIDI file.
    """
    try:
        import mido
    except ImportError as error:
        raise A2SBError(
            f"MIDI files need the package mido ({error}): install it with `pip install a2sb[notes]`"
        ) from error
    try:
        file = mido.MidiFile(path, clip=True)
        events = list(file)  # of all tracks, with times in seconds
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise A2SBError(f"{path} cannot be read as a MIDI file: {error}") from error
    time_s, found = 0.0, []
    sounding: dict[tuple[int, int], list[float]] = defaultdict(list)
    for event in events:
        time_s += event.time
        if event.type not in ("note_on", "note_off") or event.channel == PERCUSSION:
            continue
        starts = sounding[event.channel, event.note]
        if event.type == "note_on" and event.velocity > 0:
            starts.append(time_s)
        elif starts:
            start_s = starts.pop(0)
            found.append((start_s, max(time_s, start_s + SHORTEST_S), event.note))
    for (_, note), starts in sounding.items():  # notes that never end
        found += [(start_s, max(time_s, start_s + SHORTEST_S), note) for start_s in starts]
    found.sort()
    return notes_of([note for *_, note in found], [times for *times, _ in found])


def part_of(notes: Notes, start_s: float, duration_s: float) -> Notes:
    """Return the notes that begin within a part, with times from its start, cut at its end."""
    intervals, pitches = notes
    shifted = intervals - start_s
    within = (shifted[:, 0] >= 0) & (shifted[:, 0] < duration_s)
    return np.minimum(shifted[within], max(duration_s, SHORTEST_S)), pitches[within]
