"""Memory and time of restoring recordings of growing length, streamed and step by step.

    python benchmarks/streaming.py [--minutes 1,6,60] [--steps 2] [--network stub|small|paper]
        [--device cpu|cuda]

Every figure is measured in a process of its own: on a CPU the resident memory of the process, on a
GPU the memory of tensors (``torch.cuda.max_memory_allocated``). With the stub, a network that
computes almost nothing replaces that of the shipped model, so that only the rest is measured:
reading, encoding, windows, steps, decoding, splicing. `paper` is the network of the paper with
random weights, as in its figure 7. `whole` is the same arithmetic in the order of Algorithm 1, with
every step over all windows of the recording. `gap` is a recording with a single gap at its start,
whose output must not wait for the end. Prints a table and ratios; writes JSON and a figure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from record import write

RATE = 44100
BLOCK = 1 << 17
DAMAGE: dict[str, dict[str, Any]] = {
    "stream": {"task": "bandwidth", "cutoff_hz": 4000.0},
    "gap": {"task": "inpaint", "gaps_s": [(0.5, 0.55)]},
}
PAPER_GB = {5: 10, 60: 50}  # "about 10 GB for several minutes", "over 50 GB for an hour"


class LoopedNoise:
    """Blocks of a loop of noise below 4 kHz, of any length, that take no memory."""

    def __init__(self, minutes: float, channels: int) -> None:
        import torch

        self.samples = int(60 * minutes * RATE)
        spectrum = torch.fft.rfft(torch.randn(channels, BLOCK, generator=torch.Generator()))
        spectrum[:, int(4000 * BLOCK / RATE) :] = 0
        self.loop = 0.1 * torch.fft.irfft(spectrum, BLOCK)

    def __len__(self) -> int:
        return -(-self.samples // BLOCK)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, self.samples, BLOCK):
            yield self.loop[:, : min(BLOCK, self.samples - start)]


def restorer_for(options: argparse.Namespace) -> Any:
    """Return the paper's model with random weights, or the shipped one, perhaps with a stub."""
    from a2sb_core import Restorer

    if options.network == "paper":
        return Restorer.from_config("paper", device=options.device, precision=options.precision)
    restorer = Restorer.from_pretrained("small", options.device, options.precision)
    if options.network == "stub":
        restorer.model.backbone.forward = lambda x, t, condition=None: 0.5 * x
    return restorer


class PeakMemory:
    """The largest memory from the creation of the object on, in bytes, above that of then."""

    def __init__(self, device: Any) -> None:
        import torch

        self.cuda = torch.cuda if device.type == "cuda" else None
        if self.cuda:
            self.cuda.reset_peak_memory_stats()
        self.base = self.now()

    def now(self) -> int:
        """Return the largest memory so far, in bytes."""
        if self.cuda:
            return int(self.cuda.max_memory_allocated())
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def above(self) -> int:
        """Return the largest memory above that at the creation, in bytes."""
        return self.now() - self.base


def measure(options: argparse.Namespace, minutes: float, order: str) -> dict[str, Any]:
    """Restore one recording; return seconds, memory above the model's, share of the network."""
    import torch

    restorer, spent = restorer_for(options), 0.0
    forward = restorer.model.backbone.forward

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        result = forward(*arguments)
        spent += time.perf_counter() - started
        return result

    restorer.model.backbone.forward = timed
    recording = LoopedNoise(minutes, options.channels)
    memory = PeakMemory(restorer.device)
    started = time.perf_counter()
    if order != "whole":
        asked = DAMAGE[order] | {"steps": options.steps}
        for _ in restorer.prepare(recording, RATE, samples=recording.samples, **asked).run():
            pass
    else:
        whole(restorer, torch.cat(list(recording), dim=-1), options.steps)
    seconds = time.perf_counter() - started
    return {
        "order": order,
        "minutes": minutes,
        "seconds": round(seconds, 2),
        "peak_mb": round(memory.above() / 2**20),
        "model_mb": round(memory.base / 2**20),
        "network_share": round(spent / seconds, 4),
    }


def whole(restorer: Any, wave: Any, steps: int) -> Any:
    """Restore a recording step by step, in one piece."""
    import torch

    from a2sb_core.devices.choice import choose_autocast
    from a2sb_core.interfaces import Item, Noise

    model, representation = restorer.model, restorer.model.representation
    corruption = model.corruption.for_task("bandwidth")
    noise = Noise(0, representation.channels, representation.rows, restorer.device)
    wave = wave.to(restorer.device)
    with torch.no_grad(), choose_autocast(restorer.device, restorer.precision):
        z = representation.encode(wave)
        parameters = corruption.Parameters(cutoff_hz=4000.0)
        degraded = corruption.observe(Item(wave, z, representation), parameters, noise)
        sampler = model.sampler.with_steps(steps)
        x0 = sampler.sample(model.denoiser(), model.bridge, degraded, noise)
        return representation.decode(x0, wave.shape[-1])


def in_own_process(arguments: list[str], minutes: float, order: str) -> dict[str, Any]:
    """Run one measurement, so that peaks do not mix."""
    command = [sys.executable, __file__, *arguments, "--child", f"{order}:{minutes:g}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(result.stdout.splitlines()[-1]))


def draw(rows: list[dict[str, Any]], target: Path, device: str) -> None:
    """Draw memory against length, as figure 7 of the paper, and time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (memory, seconds) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for order, label in (("stream", "streamed"), ("gap", "one gap"), ("whole", "step by step")):
        mine = [row for row in rows if row["order"] == order]
        lengths = [row["minutes"] for row in mine]
        memory.plot(lengths, [row["peak_mb"] / 1024 for row in mine], "o-", label=label)
        seconds.plot(lengths, [row["seconds"] for row in mine], "o-", label=label)
    memory.plot(list(PAPER_GB), list(PAPER_GB.values()), "x", color="gray", label="the paper (GPU)")
    memory.set(ylabel="peak memory above the model's, GB", title=f"memory, {device}")
    seconds.set(ylabel="seconds", title="time")
    for axis in (memory, seconds):
        axis.set(xlabel="length of the recording, minutes", xscale="log", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(target, dpi=110)


def main() -> None:
    """Measure all lengths, print the table and write JSON and a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", default="1,6,60")
    parser.add_argument("--whole-minutes", default="1,6", help="lengths for the order step by step")
    parser.add_argument("--gap-minutes", default="1,20", help="lengths with one early gap")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--network", choices=("stub", "small", "paper"), default="stub")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        order, minutes = options.child.split(":")
        print(json.dumps(measure(options, float(minutes), order)))
        return
    rows = []
    lengths_by_order = {
        "stream": options.minutes,
        "gap": options.gap_minutes,
        "whole": options.whole_minutes,
    }
    for order, lengths in lengths_by_order.items():
        for text in filter(None, lengths.split(",")):
            row = in_own_process(sys.argv[1:], float(text), order)
            rows.append(row)
            print(
                f"{order:>6} {row['minutes']:6g} min {row['seconds']:9.1f} s "
                f"{row['peak_mb']:7d} MB above the model's {row['model_mb']} MB, "
                f"network {100 * row['network_share']:.0f} % of the time",
                flush=True,
            )
    for before, after in itertools.pairwise(rows):
        if before["order"] == after["order"] != "whole":
            print(
                f"{after['order']}: {after['minutes']:g} against {before['minutes']:g} minutes: "
                f"memory x {after['peak_mb'] / before['peak_mb']:.2f}, "
                f"time x {after['seconds'] / before['seconds']:.2f}"
            )
    keys = ("network", "steps", "channels", "precision", "device")
    about = {key: getattr(options, key) for key in keys}
    name = f"streaming_{options.network}_{options.steps}_{options.device.replace(':', '')}"
    write(options.output, name, about, rows)
    draw(rows, options.output / f"{name}.png", options.device)


if __name__ == "__main__":
    main()
