"""Quality by network evaluations per window, for ancestral, ode and implicit sampling.

    python benchmarks/steps.py CLIPS [--model small] [--steps 2,5,10,25,50,100] [--seconds 5]

CLIPS is a folder of clean audio, or a manifest, of which the validation split is used. Each clip is
damaged by protocols of `a2sb evaluate` and restored by every sampler. Prints means of LSD (21) and
SiSpec (22) of the whole clip; writes JSON and a figure.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from record import write
from torch import Tensor

from a2sb_core import Restorer
from a2sb_core.audio import files
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.evaluation.clips import list_clips
from a2sb_core.evaluation.protocols import NamedProtocol, load_protocols
from a2sb_core.interfaces import Metric
from a2sb_tasks.metrics.spectral import LSD, SiSpec

SAMPLERS = ("ancestral", "ode", "implicit", "implicit-2")


def with_sampler(restorer: Restorer, name: str, steps: int) -> Restorer:
    """Return the restorer with another inner sampler; `implicit-2` is that of second order."""
    kind, _, order = name.partition("-")
    inner = {"name": kind, "steps": steps} | ({"order": int(order)} if order else {})
    sampler = restorer.model.sampler.config
    changed = type(sampler).model_validate(sampler.model_dump() | {"inner": inner})
    restorer.model.sampler = changed.build()
    restorer.model.config = restorer.model.config.model_copy(update={"steps": {}})
    return restorer


def read_clips(source: Path, seconds: float, limit: int) -> Iterator[tuple[str, Tensor, int]]:
    """Yield name, mono audio (1, T) and rate of a stretch in the middle of each clip."""
    config = EvaluateConfig(source=source, output=Path("-"), split="validation", limit=limit)
    for clip in islice(list_clips(config), limit):
        wave, info = files.read(clip.path)
        rate = info.sample_rate
        length = round(seconds * rate)
        start = max(0, (wave.shape[-1] - length) // 2)
        mono = torch.from_numpy(wave).mean(dim=0, keepdim=True)
        yield clip.name, mono[:, start : start + length], rate


def score(
    restorer: Restorer,
    protocol: NamedProtocol,
    clips: list[tuple[str, Tensor, int]],
    metrics: list[Metric],
) -> dict[str, float]:
    """Return the means of the metrics over clips, and seconds for one of audio."""
    totals, spent, audio_s = [0.0] * len(metrics), 0.0, 0.0
    for name, wave, rate in clips:
        damaged = protocol.damage(wave, rate, name)
        started = time.perf_counter()
        found = restorer.restore(damaged.wave, rate, task=protocol.task, **damaged.parameters)
        spent += time.perf_counter() - started
        audio_s += wave.shape[-1] / rate
        for k, metric in enumerate(metrics):
            totals[k] += metric.measure(wave, found[:, : wave.shape[-1]], rate) / len(clips)
    means = {metric.config.name: total for metric, total in zip(metrics, totals, strict=True)}
    return means | {"seconds_per_second": spent / audio_s}


def draw(rows: list[dict[str, Any]], protocols: list[str], target: Path) -> None:
    """Draw each metric against steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(protocols), figsize=(4.2 * len(protocols), 5.6), layout="constrained", squeeze=False
    )
    for j, protocol in enumerate(protocols):
        for i, metric in enumerate(("lsd", "sispec")):
            for name in dict.fromkeys(r["sampler"] for r in rows):
                mine = [r for r in rows if (r["sampler"], r["protocol"]) == (name, protocol)]
                points = [r["steps"] for r in mine], [r[metric] for r in mine]
                axes[i, j].plot(*points, "o-", label=name)
            title = "LSD (lower is better)" if metric == "lsd" else "SiSpec, dB (higher is better)"
            axes[i, j].set(xscale="log", xlabel="steps", title=f"{protocol}: {title}")
            axes[i, j].grid(alpha=0.3)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(target, dpi=100)


def main() -> None:
    """Measure the samplers, print the table and write JSON and a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--steps", default="2,5,10,25,50,100")
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    parser.add_argument("--protocols", default="bandwidth-4k,gap-300")
    parser.add_argument("--seconds", type=float, default=5.0, help="5 hold one gap of gap-300")
    parser.add_argument("--limit", type=int, default=6, help="number of clips")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    restorer = Restorer.from_pretrained(options.model)
    clips = list(read_clips(options.clips, options.seconds, options.limit))
    protocols = load_protocols(options.protocols.split(","))
    metrics: list[Metric] = [LSD.Config().build(), SiSpec.Config().build()]
    rows: list[dict[str, Any]] = []
    for protocol in protocols:
        for name in options.samplers.split(","):
            for steps in map(int, options.steps.split(",")):
                found = score(with_sampler(restorer, name, steps), protocol, clips, metrics)
                rows.append({"protocol": protocol.name, "sampler": name, "steps": steps, **found})
                print(
                    f"{protocol.name:14} {name:10} {steps:4d} steps  LSD {found['lsd']:6.3f}  "
                    f"SiSpec {found['sispec']:6.2f} dB  {found['seconds_per_second']:6.2f} s/s",
                    flush=True,
                )
    about = {"model": options.model, "clips": len(clips), "clip_s": options.seconds}
    write(options.output, "steps", about, rows)
    draw(rows, [protocol.name for protocol in protocols], options.output / "steps.png")


if __name__ == "__main__":
    main()
