"""Making of a listening test from the audio of an evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from a2sb_core.audio import files
from a2sb_core.audio.arrays import FloatArray
from a2sb_core.errors import AudioError, ConfigError
from a2sb_core.evaluation.runner import Place
from a2sb_core.listening.design import (
    ANCHOR,
    REFERENCE,
    Kind,
    ListeningTest,
    ListeningTrial,
    Stimulus,
)
from a2sb_core.listening.levels import anchor, excerpt, match_levels
from a2sb_core.listening.source import KeptAudio

WriteStimulus = Callable[[str, FloatArray, int], None]
"""Writes a stimulus: its id, its samples (C, T) and the sample rate in Hz."""


@dataclass(frozen=True)
class TestPlan:
    """Settings of a listening test.

    Attributes:
        kind: ``rating``, ``mushra`` or ``abx``.
        title: title of the page.
        seed: random seed of the ids of the stimuli and of their order.
        seconds: longest stimulus, in seconds; the middle of longer clips is used.
        repeats: number of times that each trial is presented.
        against: the system that is B in the pairs of ABX trials; ``reference`` is the clean clip.
    """

    __test__ = False  # no class of tests, in the eyes of pytest

    kind: Kind = "rating"
    title: str = "Listening test"
    seed: int = 0
    seconds: float = 10.0
    repeats: int = 1
    against: str = "reference"


def make_test(kept: KeptAudio, plan: TestPlan, write: WriteStimulus) -> ListeningTest:
    """Make the trials of a test, and write its stimuli with matched levels.

    Args:
        kept: the audio.
        plan: settings of the test.
        write: called once for each stimulus.

    Raises:
        ConfigError: there is nothing to compare.
        AudioError: a clip is too short or silent, or the files of a clip do not belong together.
    """
    places = _places(kept, plan)
    stimuli: dict[Place, Stimulus] = {}
    rates = []
    for clip in dict.fromkeys(clip for clip, _, _ in places):
        own = [place for place in places if place[0] == clip]
        waves, rate = _waves(kept, clip, own, plan.seconds)
        for place, wave in waves.items():
            metrics = kept.metrics.get(place, {})
            name = _id(plan, *place)
            fields = {"task": place[1], "system": place[2]} if place in own else {}
            stimuli[place] = Stimulus(id=name, clip=clip, metrics=metrics, **fields)
            write(name, wave, rate)
        rates.append(rate)
    trials = tuple(_trials(places, stimuli, plan))
    if not trials:
        raise ConfigError("the audio has nothing to compare: choose other tasks or systems")
    used = {name for trial in trials for name in (trial.reference, *trial.stimuli)}
    return ListeningTest(
        id=_id(plan, "test", *(trial.model_dump_json() for trial in trials)),
        kind=plan.kind,
        title=plan.title,
        seed=plan.seed,
        sample_rate=max(set(rates), key=rates.count),
        stimuli=tuple(one for one in stimuli.values() if one.id in used),
        trials=trials,
    )


def _places(kept: KeptAudio, plan: TestPlan) -> list[Place]:
    """List what is rated: the systems, the hidden reference and, for MUSHRA, the anchor."""
    hidden = {"rating": (REFERENCE,), "mushra": (REFERENCE, ANCHOR), "abx": ()}[plan.kind]
    conditions = dict.fromkeys((clip, task) for clip, task, _ in kept.restored)
    if plan.kind == "abx" and plan.against == "reference":
        hidden = (REFERENCE,)
    elif plan.kind == "abx" and plan.against not in {system for _, _, system in kept.restored}:
        raise ConfigError(f"there is no audio of the system `{plan.against}`")
    return [*kept.restored, *((*one, system) for one in conditions for system in hidden)]


def _waves(
    kept: KeptAudio, clip: str, places: Sequence[Place], seconds: float
) -> tuple[dict[Place, FloatArray], int]:
    """Return the stimuli of a clip, the open reference under an empty task and system."""
    wave, info = files.read(kept.clean[clip])
    rate = info.sample_rate
    clean = excerpt(wave, rate, seconds, clip)
    try:
        found = {place: _wave(kept, place, clean, wave.shape, rate, seconds) for place in places}
        names = {"/".join(place): place for place in places}
        scaled = {name: found[place] for name, place in names.items()}
        clean, scaled = match_levels(clean, scaled, rate)
    except AudioError as error:
        raise AudioError(f"{clip}: {error}; leave out this clip") from error
    return {(clip, "", ""): clean} | {names[name]: one for name, one in scaled.items()}, rate


def _wave(
    kept: KeptAudio,
    place: Place,
    clean: FloatArray,
    shape: tuple[int, ...],
    rate: int,
    seconds: float,
) -> FloatArray:
    if place[2] == REFERENCE:
        return clean
    if place[2] == ANCHOR:
        return anchor(clean, rate)
    path = kept.restored[place]
    wave, info = files.read(path)
    if (wave.shape, info.sample_rate) != (shape, rate):
        raise AudioError(f"{path} does not have the length, channels and rate of the clean clip")
    return excerpt(wave, rate, seconds, place[0])


def _trials(
    places: Sequence[Place], stimuli: dict[Place, Stimulus], plan: TestPlan
) -> Iterator[ListeningTrial]:
    """Yield the trials; ids of stimuli are sorted, so that their order says nothing."""
    for group in _groups(places, plan):
        ids = tuple(sorted(stimuli[place].id for place in group))
        clip = group[0][0]
        for repeat in range(plan.repeats):
            yield ListeningTrial(
                id=_id(plan, "trial", str(repeat), *ids),
                reference=None if plan.kind == "abx" else stimuli[clip, "", ""].id,
                stimuli=ids,
            )


def _groups(places: Sequence[Place], plan: TestPlan) -> list[list[Place]]:
    """Return the stimuli of each trial."""
    if plan.kind == "rating":
        return [[place] for place in places]
    conditions = dict.fromkeys(place[:2] for place in places)
    together = [[place for place in places if place[:2] == one] for one in conditions]
    if plan.kind == "mushra":
        return together
    against = REFERENCE if plan.against == "reference" else plan.against
    return [
        [place, other]
        for group in together
        for other in group
        if other[2] == against
        for place in group
        if place != other
    ]


def _id(plan: TestPlan, *parts: str) -> str:
    """Return a name that says nothing to a participant, and that no program reads as a number."""
    text = "/".join((str(plan.seed), plan.kind, *parts))
    return "s" + hashlib.sha256(text.encode()).hexdigest()[:10]


def write_audio(folder: Path, suffix: str) -> WriteStimulus:
    """Return a function that writes stimuli as audio files into a folder, with 24 bits."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, wave: FloatArray, sample_rate: int) -> None:
        files.write(folder / f"{name}{suffix}", wave, sample_rate, subtype="PCM_24")

    return write
