"""Protocols of an evaluation by name: registered families, and corruptions described in YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import RootModel
from torch import Tensor

from a2sb_core.config.loading import load_tree, validate
from a2sb_core.config.tree import Node
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.interfaces import (
    AnyCorruption,
    Corruption,
    Damaged,
    FrozenConfig,
    Grid,
    MaskCorruption,
    Noise,
    Protocol,
    Recording,
    WaveformCorruption,
    blank,
    check_stretches,
)
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.code_digests import with_code

N_FFT, HOP = 2048, 512


@dataclass(frozen=True)
class NamedProtocol:
    """One way to damage audio, under its name in tables.

    Attributes:
        name: as the user wrote it.
        task: task that the restorers are asked to do.
        apply: (wave (C, T), sample rate in Hz, generator) -> Damaged.
        identity: everything that decides what the protocol does, as JSON values.
    """

    name: str
    task: str
    apply: Callable[[Tensor, int, torch.Generator], Damaged]
    identity: Mapping[str, Any] = field(default_factory=dict)

    def damage(self, wave: Tensor, sample_rate: int, clip: str = "", seed: int = 0) -> Damaged:
        """Damage a clip (C, T); random choices depend only on the clip's name and the seed.

        Raises:
            TaskError: the clip is too short, or its sample rate too low.
        """
        digest = hashlib.sha256(f"{seed}:{self.name}:{clip}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7]))
        return self.apply(wave, sample_rate, generator)


def load_protocols(names: Sequence[str], file: Path | None = None) -> list[NamedProtocol]:
    """Find protocols by name: those described in ``file``, and those of registered families.

    Raises:
        ConfigError: a name is unknown, its argument is malformed, or the file is wrong.
    """
    own = _read(file) if file else {}
    found = []
    for name in names:
        protocol = own.get(name) or _of_family(name)
        if protocol is None:
            known = ", ".join([*default_registry().typical("protocol", builtin=False), *own])
            hint = "" if file else "; --protocols FILE adds others"
            raise ConfigError(f"unknown task `{name}`; known tasks include {known}{hint}")
        found.append(protocol)
    return found


def typical_protocols(tasks: Collection[str]) -> list[NamedProtocol]:
    """Return the first typical protocol of each built-in family that serves one of the tasks."""
    entries = default_registry().entries("protocol")
    names = [entry.typical[0] for entry in entries if entry.builtin and entry.typical]
    return [protocol for protocol in load_protocols(names) if protocol.task in tasks]


def _of_family(name: str) -> NamedProtocol | None:
    """Return the protocol ``FAMILY-ARGUMENT``; None if no such family is registered."""
    entries = default_registry().entries("protocol")
    families = {family for entry in entries for family in (entry.name, entry.qualified)}
    fitting = [one for one in families if name == one or name.startswith(f"{one}-")]
    if not fitting:
        return None
    family = max(fitting, key=len)
    try:
        protocol: Protocol = (
            default_registry().resolve("protocol", family).parse(name[len(family) + 1 :])
        )
    except ConfigError as error:
        raise ConfigError(f"malformed task `{name}`: {error}") from error
    identity = with_code(protocol.identity, default_registry().entry("protocol", family))
    return NamedProtocol(name, protocol.task, protocol.damage, identity)


class _Entry(FrozenConfig):
    """A protocol in a file."""

    corruption: AnyCorruption
    """The damage."""
    parameters: dict[str, Any] | None = None
    """Parameters of the damage; by default the corruption draws them for each clip."""
    clean: bool = False
    """Whether models read the clean clip except for the content that their mask calls missing."""


class _Entries(RootModel[dict[str, _Entry]]):
    """A file of protocols, by name."""


def _read(file: Path) -> dict[str, NamedProtocol]:
    tree = load_tree(file)
    entries = validate(_Entries, tree, file).root
    return {name: _of_corruption(name, entry, tree.value[name]) for name, entry in entries.items()}


def _of_corruption(name: str, entry: _Entry, tree: Node) -> NamedProtocol:
    corruption = cast(Corruption, entry.corruption.build())
    fixed: Any = None
    if entry.parameters is not None:
        fixed = validate(
            corruption.Parameters, tree.value["parameters"], f"parameters of the protocol `{name}`"
        )

    def apply(wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        duration_s = wave.shape[-1] / sample_rate
        if corruption.audio_channels not in (1, len(wave)):
            raise TaskError(
                f"`{name}` damages {corruption.audio_channels} channels together, but the clip has "
                f"{len(wave)}"
            )
        parameters = fixed or corruption.draw(duration_s, generator)
        check_stretches(corruption.stretches(parameters), Recording.of(wave, sample_rate))
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        damaged = damage(corruption, parameters, wave, sample_rate, noise_seed)
        clean = wave if entry.clean else None
        return Damaged(damaged, parameters.model_dump(), corruption.marks(parameters), clean)

    dumped = entry.corruption.model_dump(mode="json")
    identity: dict[str, Any] = {"corruption": dumped, "parameters": entry.parameters}
    identity |= {"clean": True} if entry.clean else {}
    identity = with_code(identity, entry.corruption)
    return NamedProtocol(name, corruption.task, apply, identity)


def audio_for_model(damaged: Damaged, corruption: Corruption) -> Tensor:
    """Return the audio (C, T) that a model with a corruption restores.

    Raises:
        TaskError: it would be clean audio, and the corruption does not mask what is missing.
    """
    if damaged.clean is None:
        return damaged.wave
    if not isinstance(corruption, MaskCorruption):
        raise TaskError(
            f"the protocol masks the representation of the clean clip, but the corruption "
            f"`{corruption.config.name}` of the model has no mask"
        )
    return damaged.clean


def damage(
    corruption: Corruption, parameters: Any, wave: Tensor, sample_rate: int, seed: int
) -> Tensor:
    """Damage audio (C, T) outside a model: content that a corruption calls missing is removed.

    Raises:
        ConfigError: the corruption is of no kind that can be applied to a waveform.
    """
    stretches = corruption.stretches(parameters)
    if stretches is not None:
        return blank(wave, stretches, sample_rate)
    if isinstance(corruption, WaveformCorruption):
        return corruption.apply(wave, parameters, Noise(seed, 1, 1), sample_rate)
    if isinstance(corruption, MaskCorruption):
        return _masked(corruption, parameters, wave, sample_rate)
    raise ConfigError(
        f"the corruption `{corruption.config.name}` cannot damage audio outside a model"
    )


def _masked(corruption: MaskCorruption, parameters: Any, wave: Tensor, sample_rate: int) -> Tensor:
    """Remove the missing rows and frames of an STFT."""
    window, length = torch.hann_window(N_FFT), wave.shape[-1]
    padded = torch.nn.functional.pad(wave.float(), (0, N_FFT))
    spectrum = torch.stft(
        padded, N_FFT, HOP, window=window, return_complex=True, pad_mode="constant"
    )
    times_s = torch.arange(spectrum.shape[-1]) * HOP / sample_rate
    freqs_hz = torch.arange(N_FFT // 2 + 1) * sample_rate / N_FFT
    grid = Grid(sample_rate, freqs_hz, times_s, N_FFT / sample_rate)
    kept = spectrum.masked_fill(corruption.missing(grid, parameters), 0)
    return torch.istft(kept, N_FFT, HOP, window=window)[..., :length].to(wave.dtype)
