"""Time to fill five gaps of 300 ms in a short file and in a file of one hour.

Options: [--minutes 60] [--rounds 2] [--model small].
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from record import paired_seconds, write

from a2sb_core import Restorer

RATE = 44100
SHORT_S = 30.0
GAP_S, GAPS = 0.3, 5


def make(path: Path, seconds: float) -> list[tuple[float, float]]:
    """Write noise with silent gaps; return the gaps."""
    random = np.random.default_rng(0)
    starts = (np.arange(GAPS) + 0.5) * seconds / GAPS
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for second in range(round(seconds)):
            time = second + np.arange(RATE) / RATE
            block = 0.1 * random.standard_normal(RATE).astype(np.float32)
            for start in starts:
                block[(time >= start) & (time < start + GAP_S)] = 0
            file.write(block)
    return [(float(start), float(start) + GAP_S) for start in starts]


def main() -> None:
    """Measure the times, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="small")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    restorer = Restorer.from_pretrained(options.model)
    with tempfile.TemporaryDirectory() as name:
        works = {}
        for label, seconds in (("short", SHORT_S), ("long", 60 * options.minutes)):
            source, target = Path(name) / f"{label}.wav", Path(name) / f"{label}.out.wav"
            gaps = make(source, seconds)

            def restore(source: Path = source, target: Path = target, gaps: list = gaps) -> None:
                restorer.restore_file(source, target, task="inpaint", gaps_s=gaps, overwrite=True)

            works[label] = restore
        seconds = paired_seconds(works, options.rounds)
    ratio = seconds["long"] / seconds["short"]
    print(
        f"{GAPS} gaps of {GAP_S} s: {SHORT_S:g} s of audio in {seconds['short']:.1f} s, "
        f"{options.minutes:g} min in {seconds['long']:.1f} s: {ratio:.2f} times as long"
    )
    write(options.output, "gaps", {"minutes": options.minutes, "ratio": ratio}, [dict(seconds)])


if __name__ == "__main__":
    main()
