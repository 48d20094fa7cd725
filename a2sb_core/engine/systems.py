"""Systems that an evaluation sets side by side: models, restorer plugins, the damaged audio."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from a2sb_core.config.evaluate import EvaluateConfig, Spec, parse_spec
from a2sb_core.config.load import validate
from a2sb_core.engine.checkpoint import WEIGHTS_NAME, describe, read_config
from a2sb_core.engine.devices import choose_device
from a2sb_core.engine.finding import find_model
from a2sb_core.engine.model import Model
from a2sb_core.engine.restorer import Restorer
from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.interfaces import AudioRestorer
from a2sb_core.plugins import default_registry

DEGRADED = "degraded"
KNOWN_RESIDUAL = 1e-12
"""Bins that a model was given lie on the unit circle up to rounding; its own do not."""


@dataclass(frozen=True)
class Restored:
    """What a system returns: audio (C, T), and for models of factorized phase (18) of its bins."""

    wave: Tensor
    residual: Tensor | None = None
    residual_hz: Tensor | None = None


class System(ABC):
    """A restorer in an evaluation.

    Attributes:
        label: its name in tables.
        identity: all that decides what it returns, for JSON.
    """

    label: str
    identity: dict[str, Any]

    @abstractmethod
    def restore(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Restored:
        """Restore audio (C, T).

        Raises:
            TaskError: the system does not do the task.
        """


class Untouched(System):
    """The damaged audio."""

    label = DEGRADED
    identity: dict[str, Any] = {"system": DEGRADED}  # noqa: RUF012

    def restore(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Restored:
        """Return the audio as it is."""
        return Restored(wave)


class PluginSystem(System):
    """A restorer of the registry."""

    def __init__(self, spec: Spec) -> None:
        entry = default_registry().entry("restorer", spec.name)
        config_class = default_registry().resolve("restorer", spec.name).Config
        config = validate(config_class, {**spec.options}, spec.text)
        self.label = spec.text
        self.restorer = cast(AudioRestorer, config.build())
        self.restorer.check()
        self.identity = {
            "restorer": entry.qualified, "version": entry.version,
            "config": config.model_dump(mode="json"),
        }

    def restore(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Restored:
        """Call the plugin."""
        return Restored(self.restorer.restore_audio(wave, sample_rate, task, parameters))


class ModelSystem(System):
    """A model: a registered name, a folder, or a hub id, with a number of steps or its own."""

    def __init__(self, spec: Spec, steps: int | None, config: EvaluateConfig) -> None:
        if spec.options:
            raise ConfigError(f"`{spec.text}`: a model takes no options but @STEPS")
        try:
            folder = find_model(spec.name)
        except ModelError as error:
            known = ", ".join(default_registry().names("restorer"))
            raise ConfigError(f"{error}; restorers: {known}") from error
        self.label = spec.text if steps is None else f"{spec.name}@{steps}"
        self._folder, self._steps, self._config = folder, steps, config
        self._restorer: Restorer | None = None
        self.identity = {
            "model": describe(read_config(folder)), "weights": file_hash(folder / WEIGHTS_NAME),
            "steps": steps, "seed": config.seed, "precision": config.precision,
            "device": choose_device(config.device).type,
        }

    def restore(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Restored:
        """Restore with the model, which is loaded at the first call."""
        if self._restorer is None:
            options = self._config.device, self._config.precision
            self._restorer = Restorer.from_pretrained(self._folder, *options)
        with residuals(self._restorer.model) as seen:
            restored = self._restorer.restore(
                wave, sample_rate, task=task, steps=self._steps, seed=self._config.seed,
                output_rate=sample_rate, parameters=parameters,
            )
        return Restored(restored, *seen.gather())


class _Residuals:
    """Collects Err_phase-ortho (18) of the bins that a model made."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []
        self.freqs_hz: list[Tensor] = []

    def gather(self) -> tuple[Tensor | None, Tensor | None]:
        if not self.values:
            return None, None
        return torch.cat(self.values), torch.cat(self.freqs_hz)


@contextmanager
def residuals(model: Model) -> Iterator[_Residuals]:
    """Look at what the model hands to its representation's phase orthogonalization."""
    representation = model.representation
    measure, project = getattr(representation, "phase_residual", None), representation.project
    seen = _Residuals()
    if measure is None:
        yield seen
        return

    def watched(z: Tensor) -> Tensor:
        values = measure(z).detach().float().cpu()
        own = (values > KNOWN_RESIDUAL).nonzero()
        freqs_hz = representation.grid(1).freqs_hz.float().cpu()
        seen.values.append(values[tuple(own.T)])
        seen.freqs_hz.append(freqs_hz[own[:, 1]])
        return project(z)

    representation.project = watched  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del representation.project


def load_systems(config: EvaluateConfig) -> list[System]:
    """Find all systems of an evaluation, the damaged audio first.

    Raises:
        ConfigError: one is unknown, or its options are wrong; nothing has been computed then.
        A2SBError: one can not run here.
    """
    systems: list[System] = [Untouched()]
    for text in config.systems:
        if text == DEGRADED:
            continue
        spec, steps = _spec(text)
        if spec.name in _restorers() and not Path(spec.name).is_dir():
            if steps is not None:
                raise ConfigError(f"`{text}`: a restorer takes no @STEPS; only models do")
            systems.append(PluginSystem(spec))
            continue
        wanted: Sequence[int | None] = [steps] if steps is not None else config.steps or [None]
        systems += [ModelSystem(spec, count, config) for count in wanted]
    for system in systems:
        system.label = config.labels.get(system.label, system.label)
    labels = [system.label for system in systems]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"the system `{label}` is asked for twice")
    return systems


def _restorers() -> set[str]:
    entries = default_registry().entries("restorer")
    return {entry.name for entry in entries} | {entry.qualified for entry in entries}


def _spec(text: str) -> tuple[Spec, int | None]:
    name, at, steps = text.rpartition("@")
    if at and steps.isdecimal() and int(steps) > 0 and not Path(text).exists():
        return parse_spec(name), int(steps)
    return parse_spec(text), None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ConfigError: it can not be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error}") from error
