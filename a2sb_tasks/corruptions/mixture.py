"""A weighted choice of corruptions, so that one model learns several tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    AnyCorruption,
    ComponentConfig,
    Corruption,
    Degraded,
    FrozenConfig,
    Item,
    Noise,
    TaskError,
)


class Part(FrozenConfig):
    """One corruption of a mixture and how often it is drawn."""

    corruption: AnyCorruption
    """The corruption."""
    weight: float = Field(1.0, ge=0)
    """How often; weights need not sum to one. 0: the task is served, but not trained on."""


class Mixture(Corruption):
    """Each training item gets one of the parts; the paper trains half on each of its two tasks."""

    task = "mixture"

    class Config(ComponentConfig):
        """What is drawn from."""

        name: str = "mixture"
        parts: tuple[Part, ...] = Field(min_length=1)
        """Corruptions with their weights."""

        @model_validator(mode="after")
        def _check_weights(self) -> Self:
            if not any(part.weight for part in self.parts):
                raise ValueError("parts: all weights are 0, so there is nothing to draw")
            return self

    class Parameters(FrozenConfig):
        """Which part was drawn, and the parameters of its damage."""

        part: int
        """Number of the part."""
        inner: Any
        """Parameters of its damage."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.parts: list[Corruption] = [part.corruption.build() for part in self.config.parts]

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw a part by weight, then its parameters."""
        weights = torch.tensor([part.weight for part in self.config.parts])
        part = int(torch.multinomial(weights, 1, generator=generator))
        return self.Parameters(part=part, inner=self.parts[part].draw(duration_s, generator))

    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Apply the part that was drawn."""
        part: int = parameters.part
        return self.parts[part].degrade(item, parameters.inner, noise)

    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Describe damage of the kind of one part."""
        part: int = parameters.part
        return self.parts[part].observe(item, parameters.inner, noise)

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Refuse: which part is meant must be said."""
        raise TaskError(f"say which task is meant: {', '.join(self.tasks())}")

    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks of all parts."""
        return tuple(dict.fromkeys(task for part in self.parts for task in part.tasks()))

    def for_task(self, task: str) -> Corruption:
        """Return the first part that serves ``task``."""
        for part in self.parts:
            if task in part.tasks():
                return part.for_task(task)
        return super().for_task(task)
