"""The picture of an analysis: a spectrogram with the damage marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from a2sb_core.audio import files
from a2sb_core.interfaces import Marks
from a2sb_core.plotting.spectrograms import spectrogram_figure
from a2sb_core.restoration.analysis import Analysis


def draw_analysis(path: Path, found: Analysis) -> None:
    """Draw the spectrogram of an analyzed file as PNG."""
    wave, info = files.read(found.path)
    wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
    title = "; ".join(f"{one.task}: {one.describe()}" for one in found.findings)
    marks = joined_marks([one.damage.marks for one in found.findings if one.damage])
    spectrogram_figure(path, title, [(found.path.name, wave)], info.sample_rate, marks)


def joined_marks(marks: list[Marks]) -> Marks:
    """Return the marks of several kinds of damage together."""
    return Marks(
        tuple(hz for one in marks for hz in one.frequencies_hz),
        tuple(stretch for one in marks for stretch in one.stretches_s),
    )
