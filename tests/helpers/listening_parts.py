"""Listening tests for tests: designs without audio, simulated ratings, and results with audio."""

import csv
import json

import numpy as np
import soundfile

from a2sb_core.listening.design import (
    RATINGS,
    REFERENCE,
    ListeningTest,
    ListeningTrial,
    Stimulus,
    write_test,
)
from a2sb_core.listening.ratings import COLUMNS, parse_rating

RATE = 44100
TASK = "bandwidth-4k"


def design(kind="rating", systems=("good", "bad"), clips=4, task=TASK, metrics=None, repeats=1):
    """Return a test with a hidden reference, without audio."""
    names = [*systems, REFERENCE]
    stimuli = [Stimulus(id=f"open{c}", clip=f"c{c}") for c in range(clips)]
    groups = []
    for c in range(clips):
        own = [
            Stimulus(
                id=f"s{c}x{k}",
                clip=f"c{c}",
                task=task,
                system=name,
                metrics=metrics(c, name) if metrics and name != REFERENCE else {},
            )
            for k, name in enumerate(names)
        ]
        stimuli += own
        if kind == "rating":
            groups += [(c, [one.id]) for one in own]
        elif kind == "mushra":
            groups.append((c, [one.id for one in own]))
        else:
            groups += [(c, [one.id, own[-1].id]) for one in own[:-1]]
    trials = [
        ListeningTrial(
            id=f"t{k}r{r}", reference=None if kind == "abx" else f"open{c}", stimuli=tuple(ids)
        )
        for k, (c, ids) in enumerate(groups)
        for r in range(repeats)
    ]
    return ListeningTest(
        id=f"test{kind}",
        kind=kind,
        title="A test",
        seed=3,
        sample_rate=RATE,
        stimuli=tuple(stimuli),
        trials=tuple(trials),
    )


def rate(test, participants, value):
    """Return ratings: value(participant, stimulus), or for ABX an answer (participant, trial)."""
    ratings = []
    for name in participants:
        for trial in test.trials:
            for stimulus in ["X"] if test.kind == "abx" else trial.stimuli:
                given = value(name, test.stimulus.get(stimulus, trial))
                fields = {"participant": name, "trial": trial.id, "stimulus": stimulus}
                ratings.append(parse_rating(test, fields | {"rating": given}, "here"))
    return ratings


def music(seed, seconds=1.0):
    """Return a chord with noise, (T,)."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220, 277, 1660, 7000))
    return (0.05 * tones + 0.02 * generator.normal(size=len(time_s))).astype(np.float32)


def write_results(folder, clips=2, systems=("system-a", "system-b"), rate=RATE):
    """Write what `a2sb evaluate --keep-audio` leaves: audio of systems that add noise, values."""
    lines, values = [["clip", "task", "system", "file"]], [["clip", "task", "system", "lsd"]]
    for c in range(clips):
        clean = music(c)
        for k, system in enumerate(("", *systems)):
            noise = np.random.default_rng(9).normal(size=len(clean))
            wave = (clean + 0.02 * k * noise) / (1 + k)
            name = f"audio/{system or 'clean'}/clip{c}.flac"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name, wave, rate, "PCM_24")
            lines.append([f"clip{c}.wav", TASK if system else "", system, name])
            if system:
                values.append([f"clip{c}.wav", TASK, system, k + c / 10])
    for name, rows in (("audio/index.csv", lines), ("values.csv", values)):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


def key(folder):
    """Return what a test folder says about each stimulus, by id."""
    return {one["id"]: one for one in json.loads((folder / "key.json").read_text())["stimuli"]}


def write_rated(folder):
    """Write a test without audio, and its ratings by three participants."""
    folder.mkdir()
    test = design()
    write_test(test, folder)
    grades = {"good": 4, "bad": 2, REFERENCE: 5}
    ratings = rate(test, ["p0", "p1", "p2"], lambda _, stimulus: grades[stimulus.system])
    with (folder / RATINGS).open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(one.cells(test) for one in ratings)])
