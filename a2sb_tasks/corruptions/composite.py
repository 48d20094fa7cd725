"""Several kinds of damage in sequence, as an old recording has them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, Optional

import torch
from pydantic import Field, create_model
from torch import Tensor

from a2sb_core.interfaces import (
    AnyCorruption,
    ComponentConfig,
    ConfigError,
    Corruption,
    Degraded,
    FrozenConfig,
    Item,
    MaskCorruption,
    Noise,
    WaveformCorruption,
)


class Composite(WaveformCorruption):
    """Damages the waveform by each part in turn; the last part may be a mask.

    Everything may change, so ``missing`` is None; what a mask takes away is filled with noise, (8).
    ``Parameters`` has the fields of all parts. A mask of which nothing is known, or found, is left
    out: a noisy recording need not be limited in bandwidth.

    Raises:
        ConfigError: the parts do not go together.
    """

    task = "composite"

    class Config(ComponentConfig):
        """What damages the audio."""

        name: str = "composite"
        parts: tuple[AnyCorruption, ...] = Field(min_length=2)
        """Corruptions, in the order in which they damage the audio."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.parts: list[Corruption] = [part.build() for part in self.config.parts]
        last = self.parts[-1]
        for part in self.parts:
            if isinstance(part, WaveformCorruption) or (
                part is last and isinstance(part, MaskCorruption)
            ):
                continue
            raise ConfigError(
                f"composite.parts: `{part.config.name}` can not stand there; each part must damage "
                "the waveform, and only the last one may take content away"
            )
        self.Parameters = _joined(tuple(part.Parameters for part in self.parts))

    def draw(self, duration_s: float, generator: torch.Generator) -> Any:
        """Draw the parameters of each part."""
        drawn: dict[str, Any] = {}
        for part in self.parts:
            drawn |= _fields(part.draw(duration_s, generator))
        return self.Parameters(**drawn)

    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Apply one part after the other; each has noise of its own.

        Raises:
            ConfigError: the last part is a mask, which takes a model's representation.
        """
        if isinstance(self.parts[-1], MaskCorruption):
            raise ConfigError(
                f"the composite ends in the mask `{self.parts[-1].config.name}`: it can not damage "
                "audio outside a model"
            )
        return self._waveform(wave, parameters, noise, sample_rate)

    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Damage the waveform, then take away what a mask calls missing."""
        representation = item.representation
        wave = self._waveform(item.wave, parameters, noise, representation.sample_rate)
        damaged = Item(wave, representation.encode(wave), representation, item.start)
        return self.observe(damaged, parameters, noise)

    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Take the audio as it is, but for what a mask calls missing."""
        last, z = self.parts[-1], item.z
        if isinstance(last, MaskCorruption):
            known = _own(last, parameters)
            if known is not None:
                z = last.observe(item, known, noise).x1
        return Degraded(z, None)

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Let each part look for its own damage."""
        found: dict[str, Any] = {}
        for part, own in self._each(blocks):
            parameters = part.detect(own, sample_rate)
            found |= {} if parameters is None else _fields(parameters)
        return self.Parameters(**found)

    def settle(self, parameters: Any, blocks: Iterable[Tensor], sample_rate: int) -> Any:
        """Let each part sharpen its own parameters."""
        settled = _fields(parameters)
        for part, own in self._each(blocks):
            known = _own(part, parameters)
            if known is not None:
                settled |= _fields(part.settle(known, own, sample_rate))
        return self.Parameters(**settled)

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Let each part refuse what it can not restore."""
        for part in self.parts:
            known = _own(part, parameters)
            if known is not None:
                part.check(known, duration_s, sample_rate)

    def _waveform(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        for number, part in enumerate(self.parts):
            if isinstance(part, WaveformCorruption):
                own = replace(noise, seed=noise.seed + number + 1)
                wave = part.apply(wave, _own(part, parameters), own, sample_rate)
        return wave

    def _each(self, blocks: Iterable[Tensor]) -> Iterable[tuple[Corruption, Iterable[Tensor]]]:
        """Yield each part with blocks to look at; no block is held that no later part asks for."""
        *others, last = self.parts
        for part in others:
            blocks, own = itertools.tee(blocks)
            yield part, own
        yield last, blocks


@cache
def _joined(kinds: tuple[type[FrozenConfig], ...]) -> type[FrozenConfig]:
    """Return a class with the parameters of all parts; what has no default may be None."""
    fields: dict[str, Any] = {}
    for kind in kinds:
        for name, field in kind.model_fields.items():
            if name in fields:
                raise ConfigError(
                    f"composite.parts: two parts have the parameter `{name}`; join parts of "
                    "different kinds"
                )
            optional = field.is_required()
            fields[name] = (
                Optional[field.annotation] if optional else field.annotation,  # noqa: UP045
                None if optional else field.get_default(call_default_factory=True),
            )
    return create_model("Parameters", __base__=FrozenConfig, **fields)


def _own(part: Corruption, parameters: Any) -> Any | None:
    """Return the parameters of one part, checked by it; None: what it must know is not known."""
    declared = part.Parameters.model_fields
    values = {name: getattr(parameters, name) for name in declared}
    if any(values[name] is None for name, field in declared.items() if field.is_required()):
        return None
    return part.Parameters.model_validate(values)


def _fields(parameters: FrozenConfig) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in type(parameters).model_fields}
