"""``a2sb analyze``: what a file holds, where its energy ends, and what is broken in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from a2sb_core.cli.output import console, print_json
from a2sb_core.errors import AudioError

SHOWN_GAPS = 20
"""So many gaps are listed for people; JSON has all."""

SEEN_RATE = 44100
"""Files of lower rates are looked at at this rate, in Hz: their own end is a cutoff, too."""


def analyze(
    file: Annotated[Path, typer.Argument(help="An audio file.")],
    figure: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw a spectrogram with what was found.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PNG.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell format, level, cutoff and gaps of a file: what `restore` would find."""
    if figure is not None and figure.exists() and not overwrite:
        raise AudioError(f"{figure} exists already; choose another name, or use --overwrite")
    found = examine(file)
    if figure is not None:
        draw(figure, file, found)
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
        AudioError: it can not be read.
    """
    import numpy as np

    from a2sb_core.audio.bandwidth import detect_cutoff
    from a2sb_core.audio.damage import find_gaps
    from a2sb_core.audio.files import read
    from a2sb_core.audio.resample import resample

    wave, info = read(file)
    gaps = find_gaps([wave], info.sample_rate)
    wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
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
        "gaps": [
            {"detector": gap.detector, "start_s": round(gap.start_s, 6),
             "end_s": round(gap.end_s, 6)} for gap in gaps
        ],
    }


def draw(path: Path, file: Path, found: dict[str, Any]) -> None:
    """Draw the spectrogram of a file, its cutoff and gaps marked, as PNG."""
    import numpy as np

    from a2sb_core.audio.files import read
    from a2sb_core.cli.figures import spectrogram_figure

    wave, info = read(file)
    wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
    gaps_s = [(gap["start_s"], gap["end_s"]) for gap in found["gaps"]]
    cutoff_hz = found["cutoff_hz"]
    end = "full band" if cutoff_hz is None else f"energy ends at {cutoff_hz:.0f} Hz"
    title = f"{end}; {_count(found['gaps'])}"
    spectrogram_figure(
        path, title, [(file.name, wave)], info.sample_rate, gaps_s, cutoff_hz=cutoff_hz
    )


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
        ("gaps", _count(found["gaps"])),
        *(("", _gap(gap)) for gap in found["gaps"][:SHOWN_GAPS]),
        *((("", "... --json has all"),) if len(found["gaps"]) > SHOWN_GAPS else ()),
    ]


def _count(gaps: list[dict[str, Any]]) -> str:
    """Say how many of each kind."""
    kinds = Counter(gap["detector"] for gap in gaps)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none found"


def _gap(gap: dict[str, Any]) -> str:
    length_ms = 1000 * (gap["end_s"] - gap["start_s"])
    return f"{gap['detector']} from {gap['start_s']:.4f} s, {length_ms:.3g} ms"
