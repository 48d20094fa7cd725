"""Quality of restoration: degrade a folder of clips, restore them, print a table.

    python benchmarks/quality.py CLIPS [--model small] [--tasks bandwidth-4k,bandwidth-8k,gap-300]

Each clip is limited by resampling to twice the cutoff and back, or loses a gap in the middle of
every 5 seconds (the samples are set to zero). Beside the model stand the degraded input and, for
bandwidth, spectral band replication. Figures are means over clips; channels are averaged first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch

from a2sb_core import Restorer
from a2sb_core.plugins import default_registry

METRICS: dict[str, dict[str, Any]] = {
    "LSD": {"name": "lsd"},
    "SiSpec": {"name": "sispec"},
    "SiSpec of power": {"name": "sispec", "exponent": 2.0},
    "ViSQOL": {"name": "visqol"},
}


def degrade(wave: np.ndarray, rate: int, task: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Damage (C, T) audio by a protocol; return it and what the restorer is told."""
    kind, value = task.split("-")
    if kind == "bandwidth":
        cutoff_hz = 1000.0 * float(value.removesuffix("k"))
        narrow = soxr.resample(wave.T, rate, 2 * cutoff_hz, quality="VHQ")
        back = soxr.resample(narrow, 2 * cutoff_hz, rate, quality="VHQ").T[:, : wave.shape[1]]
        padding = wave.shape[1] - back.shape[1]
        return np.pad(back, ((0, 0), (0, padding))), {"task": "bandwidth", "cutoff_hz": cutoff_hz}
    half_s = float(value) / 2000
    duration_s = wave.shape[1] / rate
    middles = np.arange(2.5, duration_s - half_s, 5.0)
    gaps = [(float(middle - half_s), float(middle + half_s)) for middle in middles]
    damaged = wave.copy()
    for start, end in gaps:
        damaged[:, round(start * rate) : round(end * rate)] = 0
    return damaged, {"task": "inpaint", "gaps_s": gaps}


def systems(restorer: Restorer, steps: int | None) -> dict[str, Any]:
    """Return each system as a function (damaged, rate, told) -> restored, or None if unable."""
    replication = default_registry().resolve("restorer", "band_replication").Config().build()

    def replicate(wave: np.ndarray, rate: int, told: dict[str, Any]) -> np.ndarray | None:
        if told["task"] != "bandwidth":
            return None
        return replication.restore_audio(torch.from_numpy(wave), rate, "bandwidth", told).numpy()

    return {
        "degraded": lambda wave, rate, told: wave,
        "band replication": replicate,
        "model": lambda wave, rate, told: restorer.restore(wave, rate, steps=steps, **told),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all tasks and systems on all clips; return mean figures by task and system."""
    restorer = Restorer.from_pretrained(options.model, device=options.device)
    metrics = {
        label: default_registry().resolve("metric", spec["name"]).Config(**spec).build()
        for label, spec in METRICS.items() if label != "ViSQOL" or not options.no_visqol
    }
    values: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    audio_s = model_s = 0.0
    clips = sorted(p for p in options.clips.iterdir() if p.suffix in (".flac", ".wav", ".ogg"))
    for clip in clips:
        truth, rate = soundfile.read(clip, dtype="float32", always_2d=True)
        truth = truth.T.mean(axis=0, keepdims=True) if options.mono else truth.T
        for task in options.tasks.split(","):
            damaged, told = degrade(np.ascontiguousarray(truth), rate, task)
            for name, restore in systems(restorer, options.steps).items():
                if name not in options.systems.split(","):
                    continue
                start = time.perf_counter()
                estimate = restore(damaged, rate, told)
                if estimate is None:
                    continue
                if name == "model":
                    model_s += time.perf_counter() - start
                    audio_s += truth.shape[1] / rate
                a, b = torch.from_numpy(truth.copy()), torch.from_numpy(np.array(estimate))
                scores = [metric.measure(a, b, rate) for metric in metrics.values()]
                values[task, name].append(scores)
                print(clip.name, task, name, np.round(scores, 3), flush=True)
    table = [
        {"task": task, "system": name, **dict(zip(metrics, np.mean(rows, axis=0), strict=True))}
        for (task, name), rows in values.items()
    ]
    return {
        "clips": len(clips), "mono": options.mono,
        "seconds of audio a second": audio_s / max(model_s, 1e-9),
        "steps": options.steps, "threads": torch.get_num_threads(), "table": table,
    }


def main() -> None:
    """Parse the command line, print the table, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--tasks", default="bandwidth-4k,bandwidth-8k,gap-300")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--systems", default="degraded,band replication,model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mono", action="store_true", help="restore the mean of the channels")
    parser.add_argument("--no-visqol", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options)
    columns = list(result["table"][0])
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in result["table"]:
        cells = [v if isinstance(v, str) else f"{v:.2f}" for v in row.values()]
        print("| " + " | ".join(cells) + " |")
    print(f"\n{result['seconds of audio a second']:.2f} seconds of audio restored a second")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=float) + "\n")


if __name__ == "__main__":
    main()
