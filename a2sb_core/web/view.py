"""What the player is given: sound and picture of a recording, and the marks drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from a2sb_core.audio import files
from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.resample import resample
from a2sb_core.cli.analyze import SEEN_RATE
from a2sb_core.cli.demo import CLIP
from a2sb_core.cli.figures import TICKS_HZ, place, spectrogram_images

HEARD_CHANNELS = 2
BACKDROP = "backdrop.png"
Gaps = Sequence[Sequence[float]]


def view(
    room: Path, versions: list[tuple[str, Path]], cutoff_hz: float | None, gaps_s: Gaps
) -> dict[str, Any]:
    """Make what the player shows.

    Args:
        room: the folder where sound (16 bits) and pictures are written.
        versions: the name and the audio file of each; all are drawn on one scale.
        cutoff_hz: where the energy ends.
        gaps_s: (start, end) of each gap.
    """
    read = [files.read(path) for _, path in versions]
    rate = max(SEEN_RATE, *(info.sample_rate for _, info in read))
    seen, heard = [], []
    for (name, _), (wave, info) in zip(versions, read, strict=True):
        wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
        seen.append(resample(wave.mean(axis=0, keepdims=True), info.sample_rate, rate))
        sound = np.clip(wave[:HEARD_CHANNELS].T, -1, 1)
        soundfile.write(room / f"{name}.flac", sound, info.sample_rate, subtype="PCM_16")
        heard.append({"name": name, "audio": str(room / f"{name}.flac"),
                      "image": str(room / f"{name}.png")})
    spectrogram_images([Path(one["image"]) for one in heard], seen, rate)
    return {
        "versions": heard, "duration_s": read[0][1].duration_s, "sample_rate": rate,
        "ticks": [{"label": f"{hz / 1000:g}", "at": place(hz, rate)}
                  for hz in TICKS_HZ if hz < rate / 2],
        **marks(rate, cutoff_hz, gaps_s),
    }


def clip() -> tuple[FloatArray, int]:
    """Return the shipped clip, (channels, samples), and its rate in Hz."""
    with resources.as_file(resources.files("a2sb_core.cli") / CLIP) as path:
        wave, info = files.read(path)
    return wave, info.sample_rate


def draw_backdrop(folder: Path) -> None:
    """Draw what is seen before there is a recording: the shipped clip."""
    wave, rate = clip()
    spectrogram_images([folder / BACKDROP], [wave], rate)


def marks(sample_rate: int, cutoff_hz: float | None, gaps_s: Gaps) -> dict[str, Any]:
    """Return the marks of a view: the cutoff with its height, and the gaps."""
    is_seen = cutoff_hz is not None and 0 < cutoff_hz < sample_rate / 2
    return {
        "cutoff": place(cutoff_hz, sample_rate) if cutoff_hz and is_seen else None,
        "cutoff_hz": cutoff_hz if is_seen else None,
        "gaps_s": [list(gap) for gap in gaps_s],
    }
