"""Systems that an evaluation compares: models, registered restorers, and the damaged audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor

from a2sb_core.common.files import file_hash
from a2sb_core.config.defaults import BackendName
from a2sb_core.config.evaluation import DEGRADED, EvaluateConfig, Spec, build_component, parse_spec
from a2sb_core.devices.choice import choose_device
from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.evaluation.protocols import audio_for_model
from a2sb_core.interfaces import AudioRestorer, Damaged, Representation, resample
from a2sb_core.models.folder import WEIGHTS_NAME, describe, read_config
from a2sb_core.models.locating import find_model
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.code_digests import with_code
from a2sb_core.restoration.damage import used_only
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.splicing import spliced


@dataclass(frozen=True)
class SystemOutput:
    """Audio (C, T) that a system returned, and the diagnostics of a model's representation."""

    wave: Tensor
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)


class System(ABC):
    """A restorer in an evaluation.

    Attributes:
        label: its name in tables.
        identity: everything that decides what it returns, as JSON values.
    """

    label: str
    identity: Mapping[str, Any]

    @abstractmethod
    def restore(self, damaged: Damaged, sample_rate: int, task: str) -> SystemOutput:
        """Restore a damaged clip of that sample rate (Hz).

        Raises:
            TaskError: the system does not do the task.
        """


class DiagnosticsCollector(Listener):
    """Collects the diagnostics of a representation over all stretches of a restoration."""

    def __init__(self, representation: Representation) -> None:
        self._representation = representation
        self._found: dict[str, list[Tensor]] = {}

    def on_sampled(self, z: Tensor) -> None:
        """Take the diagnostics of a stretch."""
        for name, values in self._representation.diagnostics(z).items():
            self._found.setdefault(name, []).append(values)

    def collected(self) -> dict[str, Tensor]:
        """Return the values (N,) of all stretches, by name."""
        return {name: torch.cat(values) for name, values in self._found.items()}


class Untouched(System):
    """The damaged audio."""

    def __init__(self) -> None:
        self.label = DEGRADED
        self.identity = {"system": DEGRADED}

    def restore(self, damaged: Damaged, sample_rate: int, task: str) -> SystemOutput:
        """Return the audio as it is."""
        return SystemOutput(damaged.wave)


class PluginSystem(System):
    """A restorer of the registry."""

    def __init__(self, spec: Spec) -> None:
        component, entry = build_component("restorer", spec)
        self.label = spec.text
        self.restorer = cast(AudioRestorer, component)
        self.restorer.check()
        identity = {
            "restorer": entry.qualified,
            "version": entry.version,
            "config": component.config.model_dump(mode="json"),
        }
        self.identity = with_code(identity, entry, component.config)

    def restore(self, damaged: Damaged, sample_rate: int, task: str) -> SystemOutput:
        """Call the plugin."""
        restored = self.restorer.restore_audio(damaged.wave, sample_rate, task, damaged.parameters)
        return SystemOutput(restored)


class ModelSystem(System):
    """A model: a registered name, a folder, or a hub id, with a number of steps or its own."""

    def __init__(
        self,
        spec: Spec,
        steps: int | None,
        config: EvaluateConfig,
        load: Callable[[Path, str], Restorer],
    ) -> None:
        backend = str(spec.options.get("backend", "torch"))
        if spec.options.keys() - {"backend"} or backend not in get_args(BackendName):
            raise ConfigError(
                f"`{spec.text}`: a model takes no options but @STEPS and "
                f"backend={'|'.join(get_args(BackendName))}"
            )
        try:
            folder = find_model(spec.name)
        except ModelError as error:
            known = ", ".join(default_registry().names("restorer"))
            raise ConfigError(f"{error}; restorers: {known}") from error
        self.label = spec.text if steps is None else f"{spec.text}@{steps}"
        self._folder, self._steps, self._seed, self._load = folder, steps, config.seed, load
        self._backend = backend
        self.identity = {
            "model": describe(read_config(folder)),
            "weights": file_hash(folder / WEIGHTS_NAME),
            "steps": steps,
            "seed": config.seed,
            "precision": config.precision,
            "device": choose_device(config.device).type,
        }
        if backend != "torch":
            self.identity = {**self.identity, "backend": backend}

    def restore(self, damaged: Damaged, sample_rate: int, task: str) -> SystemOutput:
        """Restore with the model, which is loaded when it is needed."""
        restorer = self._load(self._folder, self._backend)
        model = restorer.model
        corruption = model.corruption.for_task(task)
        given = used_only(corruption, model.uses(corruption), damaged.parameters)
        wanted = RestoreOptions(task, given, self._steps, self._seed, output_rate=sample_rate)
        collector = DiagnosticsCollector(model.representation)
        wave = audio_for_model(damaged, corruption)
        restored = restorer.restore(wave, sample_rate, wanted, listener=collector)
        if damaged.clean is not None and damaged.marks.stretches_s:
            rest = _outside(model.representation, wave, sample_rate, restorer.device)
            restored = spliced(restored, -rest, damaged.marks.stretches_s, sample_rate, first=0)
        return SystemOutput(restored, collector.collected())


def _outside(
    representation: Representation, wave: Tensor, sample_rate: int, device: torch.device
) -> Tensor:
    """Return the part of audio (C, T) that a representation does not hold, such as its mean.

    A restoration leaves this part of its input in place, also where the input is intact but counts
    as missing.
    """
    own = resample(wave, sample_rate, representation.sample_rate).to(device)
    with torch.no_grad():
        held = representation.decode(representation.encode(own), own.shape[-1]).cpu()
    return wave - resample(held, representation.sample_rate, sample_rate, wave.shape[-1])


def load_systems(config: EvaluateConfig) -> list[System]:
    """Find all systems of an evaluation, the damaged audio first.

    Raises:
        ConfigError: a system is unknown or named twice, or its options are wrong.
        A2SBError: a system cannot run here.
    """

    @lru_cache(maxsize=1)  # trials come system by system
    def load(folder: Path, backend: str) -> Restorer:
        return Restorer.from_pretrained(folder, config.device, config.precision, backend=backend)

    systems: list[System] = [Untouched()]
    for text in config.systems:
        if text != DEGRADED:
            systems += _systems_of(text, config, load)
    for system in systems:
        system.label = config.labels.get(system.label, system.label)
    labels = [system.label for system in systems]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"the system `{label}` is named twice")
    return systems


def _systems_of(
    text: str, config: EvaluateConfig, load: Callable[[Path, str], Restorer]
) -> list[System]:
    """Return the system that a text names; a model comes once for each number of steps."""
    spec, steps = _split_steps(text)
    entries = default_registry().entries("restorer")
    restorers = {name for entry in entries for name in (entry.name, entry.qualified)}
    if spec.name in restorers and not Path(spec.name).is_dir():
        if steps is not None:
            raise ConfigError(f"`{text}`: a restorer takes no @STEPS; only models do")
        return [PluginSystem(spec)]
    counts: Sequence[int | None] = [steps] if steps is not None else config.steps or [None]
    return [ModelSystem(spec, count, config, load) for count in counts]


def _split_steps(text: str) -> tuple[Spec, int | None]:
    name, at, steps = text.rpartition("@")
    if at and steps.isdecimal() and int(steps) > 0 and not Path(text).exists():
        return parse_spec(name), int(steps)
    return parse_spec(text), None
