"""The shipped clip, and the two ways in which the demo damages it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from a2sb_core.audio import files
from a2sb_core.audio.arrays import FloatArray
from a2sb_core.audio.resampling import resample

CLIP = "clip.ogg"
CUTOFF_HZ = 4000
GAPS_S = ((2.0, 2.3), (4.6, 4.9), (7.2, 7.5))
SHOWN_S = (1.6, 5.3)
"""Part of the clip in the picture of its gaps, short enough to show their content."""


@dataclass(frozen=True)
class DemoCase:
    """The clip with one kind of damage, and the task that restores it.

    Attributes:
        task: name of the task.
        title: title of the picture.
        label: label of the button that shows this example.
        damaged: damaged audio (channels, samples).
        damage: parameters of the damage that the restorer receives.
        shown_s: stretch of time in the picture, in seconds; None for the whole clip.
    """

    task: str
    title: str
    label: str
    damaged: FloatArray
    damage: dict[str, Any] = field(default_factory=dict)
    shown_s: tuple[float, float] | None = None


def read_clip() -> tuple[FloatArray, int]:
    """Return the shipped clip (channels, samples), and its sample rate in Hz."""
    with resources.as_file(resources.files("a2sb_core.demo") / CLIP) as path:
        wave, info = files.read(path)
    return wave, info.sample_rate


def cases(truth: FloatArray, sample_rate: int) -> list[DemoCase]:
    """Damage a clip (channels, samples): without its highs, and with gaps of silence."""
    low = resample(truth, sample_rate, 2 * CUTOFF_HZ)
    gapped = truth.copy()
    for start, end in GAPS_S:
        gapped[:, round(start * sample_rate) : round(end * sample_rate)] = 0
    return [
        DemoCase(
            "bandwidth",
            f"Bandwidth extension from {CUTOFF_HZ / 1000:g} kHz",
            "Example without highs",
            resample(low, 2 * CUTOFF_HZ, sample_rate, truth.shape[1]),
        ),
        DemoCase(
            "inpaint",
            "Inpainting of gaps of 300 ms",
            "Example with gaps",
            gapped,
            {"gaps_s": GAPS_S},
            SHOWN_S,
        ),
    ]
