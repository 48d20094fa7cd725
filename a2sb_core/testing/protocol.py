"""Laws of protocols."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from pydantic import ValidationError
from torch import Tensor

from a2sb_core.errors import ConfigError, PluginError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.protocol import Damaged, Protocol
from a2sb_core.plugins import default_registry
from a2sb_core.testing.compare import equal, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, Call, seeded, sound

KIND = "protocol"
SAMPLES = 6 * RATE
NONSENSE = "not an argument"


def build(case: Case) -> Protocol:
    """Make the component."""
    made: Protocol = case.config.build()
    return made


def _damage(protocol: Protocol, wave: Tensor) -> Damaged:
    return protocol.damage(wave, RATE, seeded())


def calls(case: Case) -> list[Call]:
    """Uses of a protocol."""
    protocol = build(case)
    wave = sound(SAMPLES)
    return [Call("damage", lambda x: _damage(protocol, x).wave, (wave,), is_batched=False)]


@law(KIND)
def shape_is_kept(case: Case) -> None:
    """The damaged clip has the channels and the length of the clean one, and finite samples."""
    protocol = build(case)
    for channels in (1, 2):
        wave = sound(SAMPLES, channels)[:, :-1]
        damaged = _damage(protocol, wave).wave
        require(
            damaged.shape == wave.shape,
            f"{tuple(wave.shape)} becomes {tuple(damaged.shape)}: return as many samples",
        )
        require_finite(damaged, "the damaged clip")


@law(KIND)
def clips_are_damaged(case: Case) -> None:
    """The damage changes the clip."""
    wave = sound(SAMPLES)
    require(not equal(_damage(build(case), wave).wave, wave), "the damaged clip is the clean one")


@law(KIND)
def parameters_describe_the_damage(case: Case) -> None:
    """The parameters have their names and limits from the corruptions that serve the task."""
    protocol = build(case)
    parameters = dict(_damage(protocol, sound(SAMPLES)).parameters)
    for name, corruption in _corruptions(protocol.task):
        try:
            corruption.Parameters.model_validate(parameters)
        except ValidationError as error:
            require(False, f"`{name}` refuses the parameters {parameters}: {error}")


def _corruptions(task: str) -> Iterator[tuple[str, type[Corruption]]]:
    """Yield the registered corruptions that serve a task themselves, by name."""
    registry = default_registry()
    for entry in registry.entries("corruption"):
        with contextlib.suppress(PluginError):  # another plugin may be broken
            corruption = registry.resolve("corruption", entry.qualified)
            if getattr(corruption, "task", None) == task:
                yield entry.name, corruption


@law(KIND)
def arguments_are_checked(case: Case) -> None:
    """Each typical name is parsed, and a malformed argument is refused with a ConfigError."""
    family, name = type(build(case)), case.config.name
    for entry in default_registry().entries(KIND):
        if default_registry().resolve(KIND, entry.qualified) is family:
            for text in entry.typical:
                require(text.startswith(name), f"the typical name `{text}` does not begin `{name}`")
                family.parse(text[len(name) + 1 :])
    try:
        family.parse(NONSENSE)
    except ConfigError:
        return
    except Exception as error:
        require(False, f"a malformed argument raises {type(error).__name__}: raise a ConfigError")
    require(False, f"the argument `{NONSENSE}` is accepted: refuse what makes no sense")


@law(KIND)
def identity_is_json(case: Case) -> None:
    """The identity consists of JSON values."""
    identity = build(case).identity
    require(
        json.loads(json.dumps(identity)) == identity,
        f"the identity {identity} changes when it is written as JSON",
    )
