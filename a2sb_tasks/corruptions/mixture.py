"""A weighted choice of corruptions, so that one model learns several tasks."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field, FiniteFloat, model_validator

from a2sb_core.interfaces import (
    AnyCorruption,
    ComponentConfig,
    Corruption,
    Degraded,
    Finisher,
    FrozenConfig,
    Item,
    Marks,
    Noise,
    Recording,
    Stretches,
    TaskError,
)


class WeightedCorruption(FrozenConfig):
    """A corruption of a mixture, and its weight."""

    corruption: AnyCorruption
    """The corruption."""
    weight: FiniteFloat = Field(1.0, ge=0)
    """Relative frequency in training; 0 serves the task without training on it."""


class Mixture(Corruption["Mixture.Parameters"]):
    """Draws one of several corruptions for each training item; the paper draws two equally."""

    task = "mixture"

    class Config(ComponentConfig):
        """Parts of the mixture."""

        name: str = "mixture"
        parts: tuple[WeightedCorruption, ...] = Field(min_length=1, max_length=256)
        """Corruptions with their weights."""

        @model_validator(mode="after")
        def _check_weights(self) -> Self:
            if not any(part.weight for part in self.parts):
                raise ValueError("parts: all weights are 0, so there is nothing to draw")
            return self

    class Parameters(FrozenConfig):
        """A part of the mixture, and the parameters of its damage."""

        part: int
        """Index of the part."""
        inner: Any
        """Parameters of the damage of the part."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.parts: list[Corruption] = [part.corruption.build() for part in self.config.parts]
        self.audio_channels = max(part.audio_channels for part in self.parts)
        self.context_s = max(part.context_s for part in self.parts)

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a part by weight, then its parameters."""
        weights = torch.tensor([part.weight for part in self.config.parts])
        part = int(torch.multinomial(weights, 1, generator=generator))
        return self.Parameters(part=part, inner=self.parts[part].draw(duration_s, generator))

    def degrade(self, item: Item, parameters: Parameters, noise: Noise) -> Degraded:
        """Apply the part that was drawn."""
        return self.parts[parameters.part].degrade(item, parameters.inner, noise)

    def observe(self, item: Item, parameters: Parameters, noise: Noise) -> Degraded:
        """Describe a damaged item by the corruption of the part."""
        return self.parts[parameters.part].observe(item, parameters.inner, noise)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters | None:
        """Let the given part inspect the recording.

        Raises:
            TaskError: no part is given. Users name a task, and :meth:`for_task` returns its part.
        """
        if given is None:
            raise TaskError(f"specify one of the tasks: {', '.join(self.tasks())}")
        inner = self.parts[given.part].inspect(recording, given.inner)
        return None if inner is None else self.Parameters(part=given.part, inner=inner)

    def describe(self, parameters: Parameters) -> str:
        """Describe the damage by its part."""
        return self.parts[parameters.part].describe(parameters.inner)

    def marks(self, parameters: Parameters) -> Marks:
        """Return the marks of the part."""
        return self.parts[parameters.part].marks(parameters.inner)

    def output_rate(self, parameters: Parameters, sample_rate: int, model_rate: int) -> int:
        """Return the output rate of the part."""
        part = self.parts[parameters.part]
        return part.output_rate(parameters.inner, sample_rate, model_rate)

    def finisher(self, parameters: Parameters, sample_rate: int) -> Finisher | None:
        """Return the finisher of the part."""
        return self.parts[parameters.part].finisher(parameters.inner, sample_rate)

    def stretches(self, parameters: Parameters) -> Stretches | None:
        """Return the stretches of the part."""
        return self.parts[parameters.part].stretches(parameters.inner)

    def lost(self, parameters: Parameters) -> Stretches:
        """Return the lost stretches of the part."""
        return self.parts[parameters.part].lost(parameters.inner)

    def scaled(self, parameters: Parameters) -> dict[str, float]:
        """Return the known parameters of the part."""
        return self.parts[parameters.part].scaled(parameters.inner)

    def tasks(self) -> tuple[str, ...]:
        """Return the names of the tasks of all parts."""
        return tuple(dict.fromkeys(task for part in self.parts for task in part.tasks()))

    def for_task(self, task: str) -> Corruption:
        """Return the first part that serves ``task``."""
        for part in self.parts:
            if task in part.tasks():
                return part.for_task(task)
        return super().for_task(task)
