"""``a2sb analyze``: what a file holds, and where its energy ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from a2sb_core.cli.output import console, print_json

SEEN_RATE = 44100
"""Files of lower rates are looked at at this rate, in Hz: their own end is a cutoff, too."""


def analyze(
    file: Annotated[Path, typer.Argument(help="An audio file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell format, level and cutoff of a file: what `restore --task bandwidth` would find."""
    found = examine(file)
    if as_json:
        print_json(found)
        return

    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in _lines(found):
        table.add_row(name, value)
    console().print(table, highlight=False)


def examine(file: Path) -> dict[str, Any]:
    """Measure a file.

    Raises:
        AudioError: it can not be read, or holds samples that are no numbers.
    """
    import numpy as np

    from a2sb_core.audio.arrays import check_finite
    from a2sb_core.audio.bandwidth import detect_cutoff
    from a2sb_core.audio.files import read
    from a2sb_core.audio.resample import resample

    wave, info = read(file)
    check_finite(wave, str(file), sample_rate=info.sample_rate)
    seen_rate = max(info.sample_rate, SEEN_RATE)
    cutoff = detect_cutoff(resample(wave, info.sample_rate, seen_rate), seen_rate)
    return {
        "file": str(file),
        "sample_rate": info.sample_rate,
        "channels": int(wave.shape[0]),
        "duration_s": wave.shape[1] / info.sample_rate,
        "peak_dbfs": _decibel(float(np.abs(wave).max(initial=0.0))),
        "rms_dbfs": _decibel(float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))),
        "cutoff_hz": None if cutoff.cutoff_hz is None else round(float(cutoff.cutoff_hz), 1),
        "reason": cutoff.reason,
    }


def _decibel(amplitude: float) -> float:
    import math

    return round(20 * math.log10(amplitude), 2) if amplitude > 0 else -math.inf


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    cutoff_hz = found["cutoff_hz"]
    return [
        ("file", found["file"]),
        ("sample rate", f"{found['sample_rate']} Hz"),
        ("channels", str(found["channels"])),
        ("duration", f"{found['duration_s']:.2f} s"),
        ("peak", f"{found['peak_dbfs']:.1f} dBFS"),
        ("RMS", f"{found['rms_dbfs']:.1f} dBFS"),
        ("cutoff", "none" if cutoff_hz is None else f"{cutoff_hz:.0f} Hz"),
        ("", found["reason"]),
    ]
