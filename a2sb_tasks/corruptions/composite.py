"""Several kinds of damage in sequence, as in an old recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Optional

import torch
from pydantic import Field, create_model
from torch import Tensor

from a2sb_core.interfaces import (
    AnyCorruption,
    ComponentConfig,
    ConfigError,
    Corruption,
    Degraded,
    Finisher,
    FrozenConfig,
    Item,
    Marks,
    MaskCorruption,
    Noise,
    Recording,
    Stretches,
    WaveformCorruption,
)
from a2sb_tasks.corruptions.finishing import Beside, FinisherSequence


class Composite(WaveformCorruption):
    """Damages the waveform by each part in turn; the last part may be a mask.

    Everything may change, so ``missing`` is None. Content that a mask removes is replaced by noise,
    (8). ``Parameters`` has the fields of all parts. A part that finds no damage is left out: a
    noisy recording may have its full bandwidth. A part works as it does alone: it inspects the
    recording, its finisher is applied, and its output rate is respected.

    Raises:
        ConfigError: the parts cannot be combined.
    """

    task = "composite"

    class Config(ComponentConfig):
        """Parts of the damage."""

        name: str = "composite"
        parts: tuple[AnyCorruption, ...] = Field(min_length=2, max_length=16)
        """Corruptions, in the order in which they damage the audio."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.parts: list[Corruption] = [part.build() for part in self.config.parts]
        self.audio_channels = max(part.audio_channels for part in self.parts)
        self.context_s = max(part.context_s for part in self.parts)
        last = self.parts[-1]
        for part in self.parts:
            if isinstance(part, WaveformCorruption) or (
                part is last and isinstance(part, MaskCorruption)
            ):
                continue
            raise ConfigError(
                f"composite.parts: `{part.config.name}` is not allowed in this place; each part "
                "must damage the waveform, and only the last one may be a mask"
            )
        self.Parameters = _joined(tuple(part.Parameters for part in self.parts))
        self.used = ("present", *(name for part in self.parts for name in _used(part)))

    def draw(self, duration_s: float, generator: torch.Generator) -> Any:
        """Draw the parameters of each part."""
        drawn: dict[str, Any] = {}
        for part in self.parts:
            drawn |= _fields(part.draw(duration_s, generator))
        return self.Parameters(**drawn)

    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Apply the parts in turn, each with its own noise.

        Raises:
            ConfigError: the last part is a mask, which needs the representation of a model.
        """
        if isinstance(self.parts[-1], MaskCorruption):
            raise ConfigError(
                f"the composite ends with the mask `{self.parts[-1].config.name}`, which cannot "
                "damage audio without a model"
            )
        return self._waveform(wave, parameters, noise, sample_rate)

    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Damage the waveform, then replace the missing content of a mask."""
        representation = item.representation
        wave = self._waveform(item.wave, parameters, noise, representation.sample_rate)
        damaged = Item(wave, representation.encode(wave), representation, item.start)
        return self.observe(damaged, parameters, noise)

    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Return the audio unchanged except for the missing content of a mask."""
        last, z = self.parts[-1], item.z
        if isinstance(last, MaskCorruption):
            known = self._known(last, parameters)
            if known is not None:
                z = last.observe(item, known, noise).x1
        return Degraded(z, None)

    def inspect(self, recording: Recording, given: Any | None = None) -> Any | None:
        """Let each part inspect the recording as it does alone, in reverse order.

        The stretches that are lost to a part are silent for the parts before it.

        Returns:
            The parameters of all parts that found damage; None if no part did.
        """
        found: dict[str, Any] = {}
        present: list[str] = []
        for part in reversed(self.parts):
            known = None
            if given is not None:
                known = self._known(part, given)
                if known is None:
                    continue
            parameters = part.inspect(recording, known)
            if parameters is not None:
                found |= _fields(parameters)
                present.insert(0, part.config.name)
                recording = recording.without(part.lost(parameters))
        found["present"] = tuple(present)
        return self.Parameters(**found) if present else None

    def describe(self, parameters: Any) -> str:
        """Join the descriptions of the parts."""
        return "; ".join(part.describe(own) for part, own in self._present(parameters))

    def marks(self, parameters: Any) -> Marks:
        """Join the marks of the parts."""
        marks = [part.marks(own) for part, own in self._present(parameters)]
        return Marks(
            tuple(hz for one in marks for hz in one.frequencies_hz),
            tuple(stretch for one in marks for stretch in one.stretches_s),
        )

    def output_rate(self, parameters: Any, sample_rate: int, model_rate: int) -> int:
        """Return the highest rate that a part requires."""
        rates = [
            part.output_rate(own, sample_rate, model_rate)
            for part, own in self._present(parameters)
        ]
        return max(rates, default=sample_rate)

    def finisher(self, parameters: Any, sample_rate: int) -> Finisher | None:
        """Apply the finishers of the parts, in reverse order."""
        present = list(self._present(parameters))
        finishers: list[Finisher] = []
        for number, (part, own) in reversed(list(enumerate(present))):
            finisher = part.finisher(own, sample_rate)
            others = present[:number] + present[number + 1 :]
            if finisher is not None:
                stretches = _joined_stretches(others)
                finishers.append(Beside(finisher, stretches, sample_rate) if others else finisher)
        return FinisherSequence(finishers) if finishers else None

    def scaled(self, parameters: Any) -> dict[str, float]:
        """Return the known parameters of all parts."""
        present = self._present(parameters)
        return {name: x for part, own in present for name, x in part.scaled(own).items()}

    def stretches(self, parameters: Any) -> Stretches | None:
        """Return the stretches of all parts; None if one of them may change everything."""
        return _joined_stretches(list(self._present(parameters)))

    def lost(self, parameters: Any) -> Stretches:
        """Return the lost stretches of all parts."""
        lost = (part.lost(own) for part, own in self._present(parameters))
        return tuple(sorted(stretch for one in lost for stretch in one))

    def _present(self, parameters: Any) -> Iterator[tuple[Corruption, Any]]:
        """Yield the parts whose damage is present, each with its own parameters."""
        for part in self.parts:
            known = self._known(part, parameters)
            if known is not None:
                yield part, known

    def _known(self, part: Corruption, parameters: Any) -> Any | None:
        """Return the parameters of a part; None if its damage is absent or unknown."""
        if parameters.present is not None and part.config.name not in parameters.present:
            return None
        return _own(part, parameters)

    def _waveform(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        for number, part in enumerate(self.parts):
            if isinstance(part, WaveformCorruption):
                own = replace(noise, seed=noise.seed + number + 1)
                wave = part.apply(wave, _own(part, parameters), own, sample_rate)
        return wave


@cache
def _joined(kinds: tuple[type[FrozenConfig], ...]) -> type[FrozenConfig]:
    """Return a class with the parameters of all parts; those without a default may be None."""
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
    fields["present"] = (
        Annotated[
            tuple[str, ...] | None,
            Field(description="Names of the parts whose damage is present (default: all)."),
        ],
        None,
    )
    return create_model("Parameters", __base__=FrozenConfig, **fields)


def _joined_stretches(present: list[tuple[Corruption, Any]]) -> Stretches | None:
    """Return the stretches of several kinds of damage; None if one of them may be anywhere."""
    joined: list[tuple[float, float]] = []
    for part, own in present:
        stretches = part.stretches(own)
        if stretches is None:
            return None
        joined += stretches
    return tuple(sorted(joined))


def _own(part: Corruption, parameters: Any) -> Any | None:
    """Return the validated parameters of one part; None if a required one is missing."""
    declared = part.Parameters.model_fields
    known = {name: value for name, value in _fields(parameters).items() if name in declared}
    needed = declared if part.used is None else part.used
    if any(known.get(name) is None for name in needed if declared[name].is_required()):
        return None
    return part.observed(**known)


def _fields(parameters: FrozenConfig) -> dict[str, Any]:
    """Return the parameters that are known: those that were given, found or drawn."""
    return {name: getattr(parameters, name) for name in parameters.model_fields_set}


def _used(part: Corruption) -> Sequence[str]:
    """Return the parameters of a part that the restoration uses."""
    return tuple(part.Parameters.model_fields) if part.used is None else part.used
