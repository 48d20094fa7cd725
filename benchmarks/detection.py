"""Precision and recall of the detection of damage, and false alarms in undamaged music.

    python benchmarks detection CLIPS [--cases 200] [--seed 0]

CLIPS is a folder of undamaged recordings. Each case is ten seconds of one of them with one to three
damages of one kind at random places. Cases of silence also contain natural pauses: sound that
decays into silence and grows out of it. A damage counts as found if a finding overlaps it, and a
finding counts as right if it overlaps a damage.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from a2sb_core.audio import files
from a2sb_tasks.detection.gaps import DETECTORS, find_gaps

Array = npt.NDArray[np.float32]
CASE_S = 10.0
LOUD_RMS = 10 ** (-40 / 20)  # a damage of silence is none
LONGEST_PACKET = 882  # samples; a longer gap repeats the packet several times


def damaged(wave: Array, rate: int, kind: str, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Damage audio (C, T) in place; return the damaged samples."""
    places: list[tuple[int, int]] = []
    for _ in range(int(rng.integers(1, 4))):
        shortest, longest = {
            "nan": (1 / rate, 0.5),
            "silence": (0.001, 1.0),
            "noise": (0.006, 1.0),
            "stuck": (0.001, 0.5),
            "repeat": (0.01, 0.5),
            "click": (1 / rate, 0.001),
        }[kind]
        length = max(1, round(rate * float(np.exp(rng.uniform(np.log(shortest), np.log(longest))))))
        for _ in range(50):
            start = int(rng.integers(rate // 10, wave.shape[1] - length - rate // 10))
            end, near = start + length, rate // 20
            beside = np.concatenate(
                [wave[:, start - near : start], wave[:, end : end + near]], axis=1
            )
            is_free = all(end + near < a or b + near < start for a, b in places)
            if is_free and np.sqrt(np.mean(np.nan_to_num(beside) ** 2)) > LOUD_RMS:
                break
        else:
            continue
        _spoil(wave, start, end, kind, rng)
        places.append((start, end))
    return places


def _spoil(wave: Array, start: int, end: int, kind: str, rng: np.random.Generator) -> None:
    if kind == "nan":
        wave[int(rng.integers(len(wave))), start:end] = np.nan
    elif kind == "silence":
        wave[:, start:end] = 0
    elif kind == "noise":
        level = np.sqrt(np.mean(wave[:, start - LONGEST_PACKET : start] ** 2))
        noise = rng.standard_normal((len(wave), end - start)).astype(np.float32)
        wave[:, start:end] = level * 10 ** (rng.uniform(-60, -38) / 20) * noise
    elif kind == "repeat":
        packet = wave[:, start - min(end - start, LONGEST_PACKET) : start]
        times = -(-(end - start) // packet.shape[1])
        wave[:, start:end] = np.tile(packet, times)[:, : end - start]
    elif kind == "stuck":
        channel = int(rng.integers(len(wave)))
        wave[channel, start:end] = wave[channel, start - 1]
    else:
        height = float(rng.uniform(0.2, 0.8)) * float(rng.choice([-1, 1]))
        decay = np.exp(-np.arange(end - start) / max(1, (end - start) / 3))
        wave[:, start:end] += np.float32(height) * decay.astype(np.float32)


def pause(wave: Array, rate: int, rng: np.random.Generator) -> None:
    """Insert a pause in place: the sound decays into silence and grows out of it."""
    fade, length = round(rate * rng.uniform(0.05, 0.3)), round(rate * rng.uniform(0.05, 1.0))
    start = int(rng.integers(rate, wave.shape[1] - length - 2 * fade - rate))
    curve = np.exp(-np.linspace(0, 12, fade)).astype(np.float32)
    wave[:, start : start + fade] *= curve
    wave[:, start + fade : start + fade + length] = 0
    wave[:, start + fade + length : start + 2 * fade + length] *= curve[::-1]


def count(wave: Array, rate: int, places: list[tuple[int, int]]) -> Counter[str]:
    """Compare the findings with the damage."""
    found = [(round(f.start_s * rate), round(f.end_s * rate)) for f in find_gaps([wave], rate)]
    hit = sum(any(a < d and c < b for c, d in found) for a, b in places)
    right = sum(any(a < d and c < b for a, b in places) for c, d in found)
    return Counter(made=len(places), hit=hit, findings=len(found), right=right)


def main() -> None:
    """Measure the detectors and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    suffixes = (".ogg", ".flac", ".wav")
    paths = [path for path in sorted(asked.clips.rglob("*")) if path.suffix.lower() in suffixes]
    seconds, alarms = 0.0, Counter[str]()
    for path in paths:
        wave, info = files.read(path)
        seconds += info.duration_s
        alarms.update(finding.detector for finding in find_gaps([wave], info.sample_rate))
    rng, sums = np.random.default_rng(asked.seed), {kind: Counter[str]() for kind in DETECTORS}
    for number in range(asked.cases):
        kind = list(DETECTORS)[number % len(DETECTORS)]
        wave, info = files.read(paths[int(rng.integers(len(paths)))])
        length, rate = round(CASE_S * info.sample_rate), info.sample_rate
        start = int(rng.integers(0, max(1, wave.shape[1] - length)))
        wave = wave[:, start : start + length].astype(np.float32)
        if kind == "silence":
            pause(wave, rate, rng)
        sums[kind] += count(wave, rate, damaged(wave, rate, kind, rng))
    print(f"{asked.cases} cases; {len(paths)} undamaged recordings, {seconds / 60:.1f} min\n")
    print(
        f"{'':8} {'damages':>8} {'found':>6} {'recall':>7} {'findings':>9} {'precision':>10} "
        f"{'false alarms, undamaged':>24}"
    )
    for kind, sum_ in sums.items():
        recall = sum_["hit"] / max(1, sum_["made"])
        precision = sum_["right"] / max(1, sum_["findings"])
        print(
            f"{kind:8} {sum_['made']:8} {sum_['hit']:6} {recall:7.3f} {sum_['findings']:9} "
            f"{precision:10.3f} {alarms[kind]:14} ({3600 * alarms[kind] / seconds:.1f} an hour)"
        )


if __name__ == "__main__":
    main()
