"""Data of the player: the sound and the picture of a recording, and the marks on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from a2sb_core.audio import files
from a2sb_core.audio.resampling import resample
from a2sb_core.demo.cases import read_clip
from a2sb_core.interfaces import Marks
from a2sb_core.plotting.spectrograms import TICKS_HZ, place, spectrogram_images

HEARD_CHANNELS = 2
SHOWN_RATE = 44100
"""Recordings of lower sample rates are drawn up to half of this rate, in Hz."""
BACKDROP = "backdrop.png"


def view(room: Path, versions: list[tuple[str, Path]], shown: Marks) -> dict[str, Any]:
    """Create the data of the player, which names files in ``room``; see :func:`located`.

    Args:
        room: folder for the sound (16 bits) and the pictures.
        versions: name and audio file of each version; all are drawn on one scale.
        shown: marks of the damage.
    """
    read = [files.read(path) for _, path in versions]
    rate = max(SHOWN_RATE, *(info.sample_rate for _, info in read))
    seen, heard = [], []
    for (name, _), (wave, info) in zip(versions, read, strict=True):
        wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
        seen.append(resample(wave.mean(axis=0, keepdims=True), info.sample_rate, rate))
        sound = np.clip(wave[:HEARD_CHANNELS].T, -1, 1)
        soundfile.write(room / f"{name}.flac", sound, info.sample_rate, subtype="PCM_16")
        heard.append({"name": name, "audio": f"{name}.flac", "image": f"{name}.png"})
    spectrogram_images([room / one["image"] for one in heard], seen, rate)
    ticks = [{"label": f"{hz / 1000:g}", "at": place(hz, rate)} for hz in TICKS_HZ if hz < rate / 2]
    return {
        "versions": heard,
        "duration_s": read[0][1].duration_s,
        "sample_rate": rate,
        "ticks": ticks,
        **placed_marks(rate, shown),
    }


def located(data: dict[str, Any], room: Path) -> dict[str, Any]:
    """Return data of the player with the paths of the files in ``room``."""
    versions = [
        one | {kind: str(room / one[kind]) for kind in ("audio", "image")}
        for one in data["versions"]
    ]
    return data | {"versions": versions}


def placed_marks(sample_rate: int, shown: Marks) -> dict[str, Any]:
    """Return marks with the heights of their lines in a picture up to ``sample_rate / 2``."""
    visible = [hz for hz in shown.frequencies_hz if 0 < hz < sample_rate / 2]
    return {
        "lines": [{"hz": hz, "at": place(hz, sample_rate)} for hz in visible],
        "stretches_s": [list(stretch) for stretch in shown.stretches_s],
    }


def draw_backdrop(folder: Path) -> None:
    """Draw the shipped clip as the background of the page before there is a recording."""
    wave, rate = read_clip()
    spectrogram_images([folder / BACKDROP], [wave], rate)
