"""Damage: the parameters of a corruption that were found or given, and their description."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import (
    Corruption,
    Finisher,
    FrozenConfig,
    Marks,
    Recording,
    Stretches,
    check_stretches,
)

NOTHING = "found nothing to restore: the audio is copied as it is"


@dataclass(frozen=True)
class Damage:
    """The damage of a recording.

    Attributes:
        corruption: the kind of damage.
        parameters: its parameters, as :meth:`Corruption.inspect` returned them.
    """

    corruption: Corruption
    parameters: FrozenConfig

    @property
    def stretches(self) -> Stretches | None:
        """Damaged stretches of time in seconds; None if damage may be anywhere."""
        return self.corruption.stretches(self.parameters)

    @property
    def lost(self) -> Stretches:
        """Stretches of time in seconds whose samples are lost and read as silence."""
        return self.corruption.lost(self.parameters)

    @property
    def marks(self) -> Marks:
        """Marks in a picture of the damaged recording."""
        return self.corruption.marks(self.parameters)

    @property
    def scaled(self) -> Mapping[str, float]:
        """Known parameters on which a network can be conditioned, scaled to [-1, 1]."""
        return self.corruption.scaled(self.parameters)

    def output_rate(self, recording: Recording) -> int:
        """Return the sample rate in Hz that the result needs."""
        rates = recording.sample_rate, recording.model_rate
        return self.corruption.output_rate(self.parameters, *rates)

    def finisher(self, sample_rate: int) -> Finisher | None:
        """Return the finisher of the result, if there is one."""
        return self.corruption.finisher(self.parameters, sample_rate)

    def describe(self) -> str:
        """Describe the damage to people."""
        return self.corruption.describe(self.parameters)

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters for JSON, without those that the restoration does not know."""
        unset = self.corruption.used is not None
        return self.parameters.model_dump(mode="json", exclude_unset=unset, exclude_none=True)


def describe(damage: Damage | None) -> str:
    """Describe to people what will be restored."""
    return NOTHING if damage is None else damage.describe()


def inspect(
    corruption: Corruption,
    recording: Recording,
    given: Mapping[str, Any],
    used: Collection[str] = (),
) -> Damage | None:
    """Find the damage of a recording, or complete the given one; None if there is no damage.

    Args:
        corruption: the kind of damage.
        recording: the damaged audio.
        given: the parameters that the user specified; empty to find the damage.
        used: parameters that the network or the guidance uses, see :meth:`Model.uses`.

    Raises:
        TaskError: the given parameters are invalid or not used, or the damage cannot be found or
            does not lie within the recording.
        AudioError: a sample is NaN or infinite.
    """
    known = validated(corruption, given, used) if given else None
    parameters = corruption.inspect(recording, known)
    if parameters is None:
        return None
    check_stretches(corruption.stretches(parameters), recording)
    return Damage(corruption, parameters)


def validated(
    corruption: Corruption, given: Mapping[str, Any], used: Collection[str] = ()
) -> FrozenConfig:
    """Return the parameters of a corruption that a user gave.

    Raises:
        TaskError: a parameter is unknown or not used, or its value is invalid.
    """
    usable = usable_parameters(corruption, used)
    try:
        parameters: FrozenConfig = corruption.observed(**given)
    except ValidationError as error:
        raise TaskError(_explain(error, corruption, usable)) from error
    for name, value in given.items():
        if value is not None and name not in usable:
            raise TaskError(
                f"the task `{corruption.task}` does not use the parameter `{name}` with this "
                f"model, so no value changes the result; it uses: {', '.join(usable) or 'none'}"
            )
    return parameters


def usable_parameters(corruption: Corruption, used: Collection[str]) -> tuple[str, ...]:
    """Return the names of the parameters on which a restoration depends.

    Args:
        corruption: the kind of damage.
        used: parameters that the network or the guidance uses, see :meth:`Model.uses`.
    """
    names = tuple(corruption.Parameters.model_fields)
    if corruption.used is None:
        return names
    given = set(used) & set(corruption.ranged())
    return tuple(name for name in names if name in corruption.used or name in given)


def used_only(
    corruption: Corruption, used: Collection[str], described: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters that a restoration uses, of all that describe some known damage."""
    unused = corruption.Parameters.model_fields.keys() - usable_parameters(corruption, used)
    return {name: value for name, value in described.items() if name not in unused}


def _explain(error: ValidationError, corruption: Corruption, usable: tuple[str, ...]) -> str:
    # An unknown parameter is the likelier mistake than one that is missing.
    first = min(error.errors(), key=lambda details: details["type"] != "unknown_field")
    place = ".".join(str(part) for part in first["loc"])
    known = ", ".join(usable) or "none"
    return f"the task `{corruption.task}`: {place}: {first['msg']} (its parameters: {known})"
