"""Design of a listening test: its stimuli and trials, and the blind order of each participant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from a2sb_core.common.files import atomic_write_text
from a2sb_core.common.json_files import read_json
from a2sb_core.config.loading import validate
from a2sb_core.errors import ConfigError
from a2sb_core.plugins.component_config import FrozenConfig

Kind = Literal["rating", "mushra", "abx"]
SCALES = {"rating": (1.0, 5.0), "mushra": (0.0, 100.0)}
"""Lowest and highest rating of the kinds that have a scale."""

REFERENCE = "hidden reference"
"""Name of the clean clip as a system, among those that are rated."""
ANCHOR = "anchor 3.5 kHz"
"""Name of the low-pass filtered clean clip as a system."""

KEY = "key.json"
RATINGS = "ratings.csv"
PAGE = "page"
"""Names in the folder of a test: the key that unblinds it, what was collected, and the page."""

PARTICIPANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""Form of the name of a participant."""


class Stimulus(FrozenConfig):
    """An audio file of a test; its id says nothing to a participant."""

    id: str
    """Name of the file without its suffix."""
    clip: str
    """Name of the clip."""
    task: str = ""
    """Name of the protocol; empty for the open reference of a clip."""
    system: str = REFERENCE
    """Label of the system."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Values of the metrics of the evaluation, by label."""


class ListeningTrial(FrozenConfig):
    """Stimuli that a participant compares and rates at once."""

    id: str
    """Name of the trial."""
    reference: str | None = None
    """Id of the open reference; None for an ABX trial."""
    stimuli: tuple[str, ...]
    """Ids of the stimuli that are rated; of an ABX trial, A and B."""


class ListeningTest(FrozenConfig):
    """A listening test, as ``key.json`` stores it."""

    format_version: Literal[1] = 1
    """Version of the format of the file."""
    id: str
    """Name of the test in ratings, so that those of another test are recognized."""
    kind: Kind
    """Method: ``rating`` from 1 to 5, ``mushra`` from 0 to 100, or ``abx``."""
    title: str
    """Title of the page."""
    seed: int
    """Random seed of the order of trials and stimuli."""
    sample_rate: int
    """Sample rate of most stimuli in Hz."""
    stimuli: tuple[Stimulus, ...]
    """All audio files."""
    trials: tuple[ListeningTrial, ...]
    """All trials; each participant has all of them, in an order of their own."""

    @cached_property
    def stimulus(self) -> dict[str, Stimulus]:
        """The stimuli by id."""
        return {stimulus.id: stimulus for stimulus in self.stimuli}

    @cached_property
    def trial(self) -> dict[str, ListeningTrial]:
        """The trials by id."""
        return {trial.id: trial for trial in self.trials}

    def order(self, participant: str) -> list[tuple[str, list[str]]]:
        """Return the trials of a participant in order, each with its stimuli in order.

        The order is a function of the seed and the participant only. The page computes the same.
        """
        place = f"{self.seed}/{participant}"
        return [
            (name, shuffled(self.trial[name].stimuli, f"{place}/{name}"))
            for name in shuffled(self.trial, place)
        ]

    def x_is(self, participant: str, trial: str) -> Literal["A", "B"]:
        """Return which stimulus of an ABX trial is X for a participant."""
        return "B" if mix(f"{self.seed}/{participant}/{trial}/X") & 1 else "A"


def shuffled(names: Iterable[str], place: str) -> list[str]:
    """Return names in a random order that depends only on the names and on ``place``."""
    return sorted(names, key=lambda name: (mix(f"{place}/{name}"), name))


def mix(text: str) -> int:
    """Return a hash of 32 bits of a text: FNV-1a, and the final mix of MurmurHash3.

    It is short enough to be the same in the script of the page.
    """
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = (value ^ value >> shift) * factor & 0xFFFFFFFF
    return value ^ value >> 16


def write_test(test: ListeningTest, folder: Path) -> None:
    """Write ``key.json`` into a folder."""
    text = json.dumps(test.model_dump(mode="json"), indent=1)
    atomic_write_text(folder / KEY, text + "\n")


def read_test(folder: Path) -> ListeningTest:
    """Read the test in a folder.

    Raises:
        ConfigError: the folder holds no test, or its key was changed.
    """
    path = folder / KEY
    try:
        tree = read_json(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{folder} is no listening test: it has no {KEY}; `a2sb listen make` makes one"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    test = validate(ListeningTest, tree, path)
    _check(test, path)
    return test


def _check(test: ListeningTest, path: Path) -> None:
    known = test.stimulus.keys()
    for trial in test.trials:
        unknown = {*trial.stimuli, *([trial.reference] if trial.reference else [])} - known
        if unknown:
            raise ConfigError(
                f"{path}: the trial {trial.id} names stimuli that the file does not have "
                f"({', '.join(sorted(unknown))}); restore the file as it was made"
            )
        if test.kind == "abx" and len(trial.stimuli) != 2:
            raise ConfigError(f"{path}: the ABX trial {trial.id} does not have two stimuli")
