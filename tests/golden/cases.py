"""The cases: each computes named results through public surfaces, with a folder to work in.

Only `small` with few steps and a tiny model are used, on the CPU in single precision, so that all
cases together take well under a minute.
"""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import signals
from .results import Result, Values
from .running import MODEL, ON_CPU, a2sb, a2sb_json, a2sb_killed, a2sb_pipe, chosen, heard, restored
from .signals import RATE, excerpt, long_excerpt, low_passed, noise, tone, write

Case = Callable[[Path], dict[str, Result]]

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Add a case under the name of its function."""
    CASES[function.__name__] = function
    return function


@case
def bandwidth_in_one_piece(_: Path) -> dict[str, Result]:
    """A tensor is extended, at the model's rate and from a lower one."""
    low, low_rate = low_passed(excerpt(), 4000), signals.resampled(excerpt(), 8000)
    asked: dict[str, Any] = {"task": "bandwidth"}
    return {
        "mono": restored("small", low[0], RATE, **asked, cutoff_hz=4000, steps=1),
        "stereo": restored("small", low, RATE, **asked, steps=2),
        "mono_8k": restored("small", low_rate[:1], 8000, **asked, steps=1),
    }


@case
def inpaint_in_one_piece(_: Path) -> dict[str, Result]:
    """Gaps of a tensor are filled, at the model's rate and at a lower one."""
    gaps = {"task": "inpaint", "gaps_s": [(0.5, 0.6), (1.2, 1.25)]}
    low_rate = signals.resampled(excerpt(), 8000)
    return {
        "mono": restored("small", excerpt()[0], RATE, **gaps, steps=1),
        "stereo": restored("small", excerpt(), RATE, **gaps, steps=2),
        "mono_8k": restored("small", low_rate[:1], 8000, **gaps, steps=1),
    }


def _restore(*arguments: object, task: str, model: str | Path, steps: int) -> tuple[object, ...]:
    asked = ("--task", task, "--model", model, "--steps", steps, "--seed", 0, "--quiet")
    return ("restore", *arguments, *asked, *ON_CPU)


def _batch(sources: list[Path], folder: Path, task: str) -> dict[str, Result]:
    """Restore files into a folder; return what is written and reported of each."""
    report = folder / "report.json"
    asked = ("-o", folder / "out", "--report", report)
    a2sb(*_restore(*sources, *asked, task=task, model="small", steps=1))
    results: dict[str, Result] = {}
    for entry in json.loads(report.read_text())["files"]:
        name = Path(entry["input"]).stem
        results[name] = heard(Path(entry["output"]))
        results[f"{name}_report"] = {"status": entry["status"], "found": _known(entry["found"])}
    return results


@case
def bandwidth_of_files(folder: Path) -> dict[str, Result]:
    """Files of several kinds are restored in a batch; what is missing is detected."""
    low = signals.resampled(excerpt(), 8000)
    return _batch(
        [
            write(folder / "stereo.flac", low_passed(excerpt(), 6000), RATE, "PCM_16"),
            write(folder / "mono_8k.wav", low[:1], 8000),
            write(folder / "full.wav", noise(), RATE, "PCM_24"),
        ],
        folder,
        "bandwidth",
    )


@case
def inpaint_of_files(folder: Path) -> dict[str, Result]:
    """Gaps in files of several kinds are detected and filled in a batch."""
    low = signals.resampled(excerpt(), 8000)
    return _batch(
        [
            write(
                folder / "silence.flac",
                signals.silenced(excerpt(), (30_000, 33_000)),
                RATE,
                "PCM_16",
            ),
            write(
                folder / "nan_8k.wav", signals.silenced(low[:1], (9000, 9400), value=np.nan), 8000
            ),
            write(folder / "whole.flac", excerpt(), RATE, "PCM_16"),
        ],
        folder,
        "inpaint",
    )


def _known(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the parameters of the damage that every version reports."""
    return found and {name: found[name] for name in ("cutoff_hz", "gaps_s") if name in found}


@case
def bandwidth_in_blocks(folder: Path) -> dict[str, Result]:
    """A file of several windows is read and restored in blocks."""
    source = write(folder / "in.wav", low_passed(long_excerpt(), 4000))
    asked = _restore(
        source, "-o", folder / "out.wav", "--cutoff", 4000, task="bandwidth", model="small", steps=1
    )
    told = a2sb_json(*asked)
    report = chosen(told, "restored", "steps") | {"found": _known(told["found"])}
    return {"out": heard(folder / "out.wav"), "told": report}


@case
def tiny_model(folder: Path) -> dict[str, Result]:
    """A model folder of the first version loads, and restores what it did."""
    low, gaps = low_passed(excerpt(), 4000), {"task": "inpaint", "gaps_s": [(0.5, 0.6)]}
    source = write(folder / "in.wav", low)
    asked = _restore(source, "--cutoff", 4000, task="bandwidth", model=MODEL, steps=2)
    for stereo in ("ms", "mono"):
        a2sb(*asked, "-o", folder / f"{stereo}.wav", "--stereo", stereo)
    a2sb(*asked, "-o", folder / "rate.flac", "--sample-rate", 48_000, "--bit-depth", 24)
    return {
        "bandwidth": restored(MODEL, low, RATE, task="bandwidth", cutoff_hz=4000),
        "inpaint": restored(MODEL, excerpt(), RATE, **gaps),
        "ms": heard(folder / "ms.wav"),
        "mono": heard(folder / "mono.wav"),
        "rate": heard(folder / "rate.flac"),
    }


@case
def pipe(folder: Path) -> dict[str, Result]:
    """Audio goes in and comes out through a pipe."""
    source = write(folder / "in.wav", low_passed(long_excerpt(), 4000))
    asked = _restore("-", "-o", "-", "--cutoff", 4000, task="bandwidth", model=MODEL, steps=2)
    written = a2sb_pipe(source.read_bytes(), *asked)
    samples = np.frombuffer(written[written.index(b"data") + 8 :], "<f4")[None]
    return {"out": Values(samples, {"header": written[:40].hex()})}


@case
def resumed(folder: Path) -> dict[str, Result]:
    """A killed run leaves no output, and is continued to the result of one that was not."""
    source = write(folder / "in.wav", low_passed(long_excerpt(), 4000))
    asked = _restore(source, "--cutoff", 4000, task="bandwidth", model=MODEL, steps=4)
    a2sb(*asked, "-o", folder / "whole.wav")
    target = folder / "resumed" / "out.wav"
    target.parent.mkdir()
    a2sb_killed(*asked, "-o", target, "--resume")
    left = list(target.parent.iterdir())
    assert len(left) == 1 and target not in left
    a2sb(*asked, "-o", target, "--resume")
    assert list(target.parent.iterdir()) == [target]
    return {"whole": heard(folder / "whole.wav"), "resumed": heard(target)}


def _analyzed(path: Path) -> dict[str, Any]:
    """Return the decisions of the detectors, from the report of this version or of an older one."""
    found = a2sb_json("analyze", path)
    rate = found["sample_rate"]
    general = chosen(found, "sample_rate", "channels", "duration_s")
    if "damage" not in found:  # before version 0.2
        gaps = [[round(rate * gap[end]) for end in ("start_s", "end_s")] for gap in found["gaps"]]
        detectors = [gap["detector"] for gap in found["gaps"]]
        return general | {"cutoff_hz": found["cutoff_hz"], "gaps": gaps, "detectors": detectors}
    cutoff, gaps = (found["damage"][task] for task in ("bandwidth", "inpaint"))
    stretches = gaps["found"]["gaps_s"] if gaps["found"] else []  # a sample wider at each end
    return general | {
        "cutoff_hz": round(cutoff["found"]["cutoff_hz"], 1) if cutoff["found"] else None,
        "gaps": [[round(rate * start) + 1, round(rate * end) - 1] for start, end in stretches],
        "detectors": [note.split()[0] for note in gaps["notes"]],
    }


def _with_bass(wave: signals.Wave) -> signals.Wave:
    mixed = wave + tone(60, 10 * float(np.sqrt(2 * np.mean(wave**2))), wave.shape[1])
    return np.asarray(0.9 * mixed / np.abs(mixed).max())


def _note() -> signals.Wave:
    return np.asarray(np.sum([tone(330 * k, 0.2 / k, 2 * RATE) for k in range(1, 25)], axis=0))


CUTOFFS: dict[str, Callable[[], tuple[signals.Wave, int]]] = {
    "fft_4k": lambda: (low_passed(noise(1.0), 4000), RATE),
    "fft_16k_bass_dithered": lambda: (
        signals.dithered(_with_bass(low_passed(noise(0.5), 16_000))),
        RATE,
    ),
    "fir_3k": lambda: (signals.fir_low_passed(noise(0.5), 3000), RATE),
    "fir_12k": lambda: (signals.fir_low_passed(noise(), 12_000), RATE),
    "half_silent": lambda: (signals.silenced(low_passed(noise(1.0), 8000), (RATE, 2 * RATE)), RATE),
    "holes": lambda: (
        signals.silenced(low_passed(noise(1.0), 8000), (20_000, 23_000), value=np.nan),
        RATE,
    ),
    "pilot_tone": lambda: (low_passed(noise(0.5), 15_000) + tone(19_000, 0.01, 2 * RATE), RATE),
    "low_rate": lambda: (noise(1.0, rate=8000), 8000),
    "low_rate_3400": lambda: (low_passed(noise(1.0, rate=8000), 3400, 8000), 8000),
    "high_rate": lambda: (low_passed(noise(1.0, rate=96_000), 16_000, 96_000), 96_000),
    "resampled_22k": lambda: (signals.resampled(noise(1.0), 22_050), 22_050),
    "full": lambda: (noise(0.5), RATE),
    "full_20500": lambda: (low_passed(noise(0.5), 20_500), RATE),
    "one_channel_full": lambda: (np.concatenate([low_passed(noise(0.5), 8000), noise(0.5)]), RATE),
    "roll_off": lambda: (signals.dithered(signals.rolled_off(noise(), 24)), RATE),
    "note": lambda: (signals.dithered(_note()), RATE),
    "excerpt": lambda: (excerpt(), RATE),
    "excerpt_fir_11k": lambda: (signals.fir_low_passed(excerpt(), 11_000), RATE),
}
"""Signals whose cutoff is detected, and their sample rates."""


@case
def detected_cutoffs(folder: Path) -> dict[str, Result]:
    """The end of the energy is found, or that there is none."""
    results: dict[str, Result] = {}
    for name, make in CUTOFFS.items():
        results[name] = _analyzed(write(folder / f"{name}.wav", *make()))
    return results


GAPS: dict[str, Callable[[], signals.Wave]] = {
    "none": excerpt,
    "nan": lambda: signals.silenced(excerpt(), (20_000, 20_001), (50_000, 55_000), value=np.nan),
    "silence": lambda: signals.silenced(excerpt(), (20_000, 20_200), (50_000, 61_000)),
    "silent_edges": lambda: signals.silenced(excerpt(), (0, 5000), (80_000, 88_200)),
    "stuck": lambda: signals.stuck(signals.stuck(excerpt(), 20_000, 20_100), 50_000, 53_000),
    "clicks": lambda: signals.clicked(excerpt(), 20_000, 44_000, 61_234),
    "one_click": lambda: signals.clicked(excerpt(), 30_000, samples=1, height=-0.8),
    "pause": lambda: signals.with_pause(excerpt(), 30_000, 8000, 10_000),
    "break": lambda: signals.silenced(
        signals.silenced(excerpt(), (50_000, 51_000), value=np.inf), (51_000, 52_000)
    ),
    "one_silent_channel": lambda: excerpt() * np.array([[1.0], [0.0]]),
    "pulses": lambda: np.where((220 * np.arange(RATE) / RATE) % 1 < 0.3, 0.4, -0.2)[None],
    "clipped": lambda: np.clip(8 * excerpt(), -0.9, 0.9),
    "mono": lambda: signals.silenced(excerpt()[:1], (20_000, 23_000)),
}
"""Signals whose damage is detected."""


@case
def detected_gaps(folder: Path) -> dict[str, Result]:
    """NaN, silence, stuck samples and clicks are found where they are, pauses are left alone."""
    return {name: _analyzed(write(folder / f"{name}.wav", make())) for name, make in GAPS.items()}


def _clips(folder: Path) -> None:
    """Write short mono clips."""
    left, right = excerpt()
    for k, wave in enumerate((left[:RATE], right[:RATE], left[RATE:], right[RATE:])):
        write(folder / f"{k}.wav", wave[None])


def _weights(run: Path) -> Values:
    """Return all weights of the model that a run wrote, in the order of their names."""
    from safetensors.numpy import load_file

    weights = load_file(run / "model" / "model.safetensors")
    shapes = {name: "x".join(map(str, weights[name].shape)) for name in sorted(weights)}
    flat = np.concatenate([weights[name].ravel() for name in sorted(weights)])
    return Values(flat, {"shapes": shapes})


def _logged(run: Path) -> dict[str, Any]:
    """Return what a run logged of losses, steps of the weights and validation."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(run / "tensorboard")).Reload()
    return {
        tag: [[event.step, float(event.value)] for event in log.Scalars(tag)]
        for tag in sorted(log.Tags()["scalars"])
        if not tag.startswith("data/")
    }


@case
def trained(folder: Path) -> dict[str, Result]:
    """A tiny model is trained; a run that lost its last steps takes them again."""
    _clips(folder / "audio")
    run = folder / "run"
    with contextlib.chdir(folder):
        train = ("train", Path(__file__).with_name("train.yaml"), "--quiet")
        a2sb(*train)
        results: dict[str, Result] = {"weights": _weights(run), "log": _logged(run)}
        for checkpoint in sorted(run.glob("checkpoint*"))[1:]:
            checkpoint.unlink()
        for name in ("model", "tensorboard"):
            shutil.rmtree(run / name)
        a2sb(*train)
    return results | {"weights_resumed": _weights(run), "log_resumed": _logged(run)}


@case
def evaluated(folder: Path) -> dict[str, Result]:
    """Systems are compared on two clips."""
    _clips(folder / "clips")
    with contextlib.chdir(folder):
        shutil.copytree(MODEL, "tiny")
        told = a2sb_json(
            "evaluate",
            "clips",
            "-o",
            "out",
            "--limit",
            2,
            "--tasks",
            "bandwidth-4k,holes",
            "--protocols",
            Path(__file__).with_name("protocols.yaml"),
            *ON_CPU,
            "--systems",
            "tiny@2,band_replication,autoregressive",
            "--metrics",
            "lsd,sispec,lsd(region=missing),si_sdr",
        )
    rows = [chosen(row, "task", "system", "clips", "metrics") for row in told["rows"]]
    with (folder / "out" / "values.csv").open(newline="") as file:
        values = [_numbers(row) for row in csv.DictReader(file)]
    return {"rows": rows, "values": values}


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    """Turn what is a number in a row of a table into one; times are left out."""
    numbers: dict[str, Any] = {}
    for name, text in row.items():
        if "seconds" not in name:
            try:
                numbers[name] = float(text)
            except ValueError:
                numbers[name] = text
    return numbers
