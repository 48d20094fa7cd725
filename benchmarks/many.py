"""Speed of `restore_many` on short clips, against `restore` one by one.

    python benchmarks/many.py [--clips 64] [--seconds 3] [--steps N] [--workers N] [--precision P]

The clips are noise below 4 kHz of different lengths around `--seconds`, whose bandwidth the shipped
model extends. Groups of clips are restored in both ways in turn, so that a change of the machine
affects both. Prints the times, their ratio, and whether the results are the same bit for bit;
writes JSON.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from record import write

RATE = 44100
GROUP = 8


def main() -> None:
    """Measure, print and write the ratio."""
    import torch

    from a2sb_core import RestoreOptions, Restorer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    asked = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    clips = []
    for number in range(asked.clips):
        samples = round(asked.seconds * RATE) - 100 * (number % GROUP)
        spectrum = torch.fft.rfft(torch.randn(1, samples, generator=generator))
        spectrum[:, int(4000 * samples / RATE) :] = 0
        clips.append(0.1 * torch.fft.irfft(spectrum, samples))
    restorer = Restorer.from_pretrained("small", asked.device, asked.precision)
    options = RestoreOptions("bandwidth", {"cutoff_hz": 4000.0}, asked.steps)
    restorer.restore(clips[0], RATE, options)  # warm up

    alone_s = together_s = 0.0
    is_same = True
    for first in range(0, len(clips), GROUP):
        group = clips[first : first + GROUP]
        started = time.perf_counter()
        alone = [restorer.restore(clip, RATE, options) for clip in group]
        middle = time.perf_counter()
        together = restorer.restore_many(group, RATE, options, workers=asked.workers)
        ended = time.perf_counter()
        alone_s, together_s = alone_s + middle - started, together_s + ended - middle
        is_same &= all(map(torch.equal, alone, together))
        print(f"{first + len(group)} clips: {alone_s:.1f} and {together_s:.1f} s", flush=True)
    ratio = alone_s / together_s
    print(
        f"{restorer.precision}: one by one {alone_s:.1f} s, restore_many {together_s:.1f} s, "
        f"{ratio:.2f} times as fast"
    )
    print(f"results are {'the same bit for bit' if is_same else 'different'}")
    row = {"alone_s": alone_s, "together_s": together_s, "ratio": ratio, "is_same": is_same}
    about = vars(asked) | {"device": str(restorer.device), "precision": restorer.precision}
    write(asked.output, "many", about, [row])


if __name__ == "__main__":
    main()
