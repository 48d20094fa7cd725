"""Files per second by number of workers of a Ray cluster, each with one core or one GPU.

Without --address, the cluster is this machine. Runs with each number of workers alternate, so that
a change of the machine affects all of them. The rate is measured between the first and the last
result; the total time includes the start of Ray, the workers and the model.

Options: [--workers 1,2] [--files 12] [--seconds 10] [--rounds 2] [--steps 4] [--model small].
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from record import write

from a2sb_core.batch.pairing import InTurn, Pair, RestoreOne
from a2sb_core.batch.ray_cluster import OnRay

RATE = 44100
CUTOFF_HZ = 4000.0


def make(folder: Path, files: int, seconds: float) -> list[Path]:
    """Write noise that ends at the cutoff."""
    paths, samples = [], round(seconds * RATE)
    for seed in range(files):
        spectrum = np.fft.rfft(0.1 * np.random.default_rng(seed).standard_normal(samples))
        spectrum[np.fft.rfftfreq(samples, 1 / RATE) > CUTOFF_HZ] = 0
        paths.append(folder / f"{seed}.wav")
        soundfile.write(paths[-1], np.fft.irfft(spectrum, samples), RATE)
    return paths


def loading(model: str, steps: int) -> Any:
    """Return the function with which a worker loads its restorer."""

    def load() -> RestoreOne:
        from a2sb_core import Restorer

        restorer = Restorer.from_pretrained(model)
        return lambda pair, on_step, on_note: restorer.restore_file(
            pair.source, pair.target, task="bandwidth", cutoff_hz=CUTOFF_HZ, steps=steps
        )

    return load


def measure(engine: OnRay, pairs: list[Pair]) -> dict[str, float]:
    """Restore all files once."""
    started, told = time.perf_counter(), []
    for outcome in engine(pairs, lambda *_: None):
        if outcome.status != "restored":
            raise SystemExit(f"{outcome.pair.source}: {outcome.status} {outcome.error}")
        told.append(time.perf_counter())
    return {
        "per_second": (len(told) - 1) / (told[-1] - told[0]),
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    """Measure the rates, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--model", default="small")
    parser.add_argument("--address")
    parser.add_argument("--gpus-per-worker", type=float)
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    counts, rows = [int(count) for count in options.workers.split(",")], []
    with tempfile.TemporaryDirectory() as name:
        sources = make(Path(name), options.files, options.seconds)
        work = InTurn(loading(options.model, options.steps), skip_existing=False)
        for k in range(options.rounds):
            for workers in counts:
                engine = OnRay(work, options.address, workers, options.gpus_per_worker, retries=0)
                pairs = [
                    Pair(one, one.with_name(f"{one.stem}.{workers}.{k}.flac")) for one in sources
                ]
                rows.append({"round": k, "workers": workers, **measure(engine, pairs)})
                print(rows[-1], flush=True)
    medians = {
        workers: {
            name: statistics.median(row[name] for row in rows if row["workers"] == workers)
            for name in ("per_second", "seconds")
        }
        for workers in counts
    }
    first = medians[counts[0]]
    for workers, one in medians.items():
        print(
            f"{workers} workers: {60 * one['per_second']:.1f} files a minute, "
            f"{one['per_second'] / first['per_second']:.2f} times that of {counts[0]}; "
            f"{options.files} files in {one['seconds']:.0f} s"
        )
    write(options.output, "ray_scaling", {"clip_s": options.seconds, "steps": options.steps}, rows)


if __name__ == "__main__":
    main()
