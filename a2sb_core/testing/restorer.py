"""Laws of restorers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from a2sb_core.errors import TaskError
from a2sb_core.interfaces.restorer import AudioRestorer
from a2sb_core.testing.compare import require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, Call, sound

KIND = "restorer"
LENGTHS = (1, 100, 5000)


def build(case: Case) -> AudioRestorer:
    """Make the component."""
    made: AudioRestorer = case.config.build()
    return made


def _served(case: Case, restorer: AudioRestorer) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks of the case that the restorer does."""
    for task, parameters in case.tasks:
        try:
            restorer.restore_audio(sound(RATE // 2), RATE, task, parameters)
        except TaskError:
            continue
        yield task, parameters


def calls(case: Case) -> list[Call]:
    """Uses of a restorer."""
    restorer = build(case)

    def use(task: str, parameters: Mapping[str, Any]) -> Call:
        def run(wave: Tensor) -> Tensor:
            return restorer.restore_audio(wave, RATE, task, parameters)

        return Call(f"restore_audio for `{task}`", run, (sound(RATE // 2),), is_batched=False)

    return [use(task, parameters) for task, parameters in _served(case, restorer)]


@law(KIND)
def does_a_task(case: Case) -> None:
    """It does at least one of the tasks of the case."""
    restorer = build(case)
    restorer.check()
    asked = ", ".join(f"{task} {dict(parameters)}" for task, parameters in case.tasks)
    require(
        any(True for _ in _served(case, restorer)),
        f"it refuses all of: {asked}; give Case(..., tasks=...) what it does",
    )


@law(KIND)
def length_and_channels_are_kept(case: Case) -> None:
    """Audio of any number of channels and any length that holds the damage keeps its shape."""
    restorer = build(case)
    for task, parameters in _served(case, restorer):
        shortest = max((round(end * RATE) for _, end in parameters.get("gaps_s", ())), default=0)
        for channels in (1, 2, 3):
            for length in (shortest + more for more in LENGTHS):
                wave = sound(max(length, 8), channels)[:, :length]
                found = restorer.restore_audio(wave, RATE, task, parameters)
                require(
                    found.shape == wave.shape,
                    f"`{task}`: {tuple(wave.shape)} comes back as {tuple(found.shape)}",
                )
                require_finite(found, f"`{task}` on {channels} channels of {length} samples")


@law(KIND)
def silence_stays_finite(case: Case) -> None:
    """Digital silence comes back without NaN."""
    restorer = build(case)
    for task, parameters in _served(case, restorer):
        found = restorer.restore_audio(torch.zeros(2, RATE // 2), RATE, task, parameters)
        require_finite(found, f"`{task}` on silence")


@law(KIND)
def unknown_tasks_are_refused(case: Case) -> None:
    """A task it does not know is refused with a TaskError, or leaves the audio in its shape."""
    wave = sound(RATE // 2)
    try:
        found = build(case).restore_audio(wave, RATE, "no such task", {})
    except TaskError:
        return
    except Exception as error:
        require(False, f"an unknown task raises {type(error).__name__}: raise a TaskError")
    require(found.shape == wave.shape, f"an unknown task makes {tuple(found.shape)}")
