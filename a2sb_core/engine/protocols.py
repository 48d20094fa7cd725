"""Protocols: how clean audio is damaged for a comparison, and what the restorers are told.

Those of the paper (section 4.1) go by names: ``bandwidth-4k`` is limited to 4 kHz by resampling to
twice that and back, ``gap-300`` loses 300 ms in the middle of every 5 seconds. Others are read from
YAML: for each name a registered corruption and its parameters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import RootModel
from torch import Tensor

from a2sb_core.audio.resample import resample
from a2sb_core.config.load import load_tree, validate
from a2sb_core.config.tree import Node
from a2sb_core.engine.splice import blank
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.interfaces import (
    AnyCorruption,
    Corruption,
    FrozenConfig,
    Grid,
    MaskCorruption,
    Noise,
    WaveformCorruption,
)

EVERY_S = 5.0
N_FFT, HOP = 2048, 512

_BANDWIDTH = re.compile(r"bandwidth-(\d+(?:\.\d+)?)k")
_GAP = re.compile(r"gap-(\d+(?:\.\d+)?)")

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Damaged:
    """A damaged clip (C, T), and what a restorer is told of it."""

    wave: Tensor
    parameters: Parameters


@dataclass(frozen=True)
class Protocol:
    """One way to damage audio.

    Attributes:
        name: as in tables.
        task: what is asked of the restorers.
        apply: (wave (C, T), sample rate, generator) -> Damaged.
        identity: all that decides what it does, for JSON.
    """

    name: str
    task: str
    apply: Callable[[Tensor, int, torch.Generator], Damaged]
    identity: dict[str, Any] = field(default_factory=dict)

    def damage(self, wave: Tensor, sample_rate: int, clip: str = "", seed: int = 0) -> Damaged:
        """Damage a clip (C, T); what is random depends on the name of the clip and the seed.

        Raises:
            TaskError: the clip is too short, or its sample rate too low.
        """
        digest = hashlib.sha256(f"{seed}:{self.name}:{clip}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7]))
        return self.apply(wave, sample_rate, generator)


def load_protocols(names: Sequence[str], file: Path | None = None) -> list[Protocol]:
    """Find protocols by name: those of the paper, and those that ``file`` describes.

    Raises:
        ConfigError: a name is unknown, or the file is wrong.
    """
    own = _read(file) if file else {}
    found = []
    for name in names:
        protocol = own.get(name) or _paper(name)
        if protocol is None:
            known = ["bandwidth-4k (any number of kHz)", "gap-300 (any number of ms)", *own]
            hint = "" if file else "; --protocols FILE adds others"
            raise ConfigError(f"unknown task `{name}`; known: {', '.join(known)}{hint}")
        found.append(protocol)
    return found


def _paper(name: str) -> Protocol | None:
    if match := _BANDWIDTH.fullmatch(name):
        cutoff_hz = 1000 * float(match[1])
        if cutoff_hz > 0:
            identity = {"protocol": "bandwidth", "cutoff_hz": cutoff_hz}
            return Protocol(name, "bandwidth", lambda *clip: _low_pass(cutoff_hz, *clip), identity)
    if match := _GAP.fullmatch(name):
        gap_s = float(match[1]) / 1000
        if 0 < gap_s < EVERY_S:
            identity = {"protocol": "gap", "gap_s": gap_s, "every_s": EVERY_S}
            return Protocol(name, "inpaint", lambda *clip: _cut(gap_s, *clip), identity)
    return None


def _low_pass(cutoff_hz: float, wave: Tensor, sample_rate: int, _: torch.Generator) -> Damaged:
    """Resample to twice the cutoff and back."""
    if cutoff_hz >= sample_rate / 2:
        raise TaskError(
            f"a clip of {sample_rate} Hz holds nothing above {cutoff_hz:g} Hz that could be removed"
        )
    low_rate = round(2 * cutoff_hz)
    low = resample(wave, sample_rate, low_rate)
    limited = resample(low, low_rate, sample_rate, wave.shape[-1])
    return Damaged(limited, {"cutoff_hz": cutoff_hz})


def _cut(gap_s: float, wave: Tensor, sample_rate: int, _: torch.Generator) -> Damaged:
    """Silence ``gap_s`` seconds in the middle of every five."""
    duration_s, middle_s = wave.shape[-1] / sample_rate, EVERY_S / 2
    gaps_s: list[tuple[float, float]] = []
    while middle_s + gap_s / 2 < duration_s:
        gaps_s.append((middle_s - gap_s / 2, middle_s + gap_s / 2))
        middle_s += EVERY_S
    if not gaps_s:
        raise TaskError(
            f"a clip of {duration_s:.2f} s is too short: the first gap ends at "
            f"{EVERY_S / 2 + gap_s / 2:g} s"
        )
    return Damaged(blank(wave, tuple(gaps_s), sample_rate), {"gaps_s": gaps_s})


class _Entry(FrozenConfig):
    """A protocol in a file."""

    corruption: AnyCorruption
    """The damage."""
    parameters: dict[str, Any] | None = None
    """Its parameters; without them the corruption draws them for each clip."""


class _Entries(RootModel[dict[str, _Entry]]):
    """A file of protocols, by name."""


def _read(file: Path) -> dict[str, Protocol]:
    tree = load_tree(file)
    entries = validate(_Entries, tree, file).root
    return {name: _own(name, entry, tree.value[name]) for name, entry in entries.items()}


def _own(name: str, entry: _Entry, tree: Node) -> Protocol:
    corruption = cast(Corruption, entry.corruption.build())
    given = entry.parameters
    parameters: Any = None
    if given is not None:
        parameters = validate(
            corruption.Parameters, tree.value["parameters"], f"parameters of the protocol `{name}`"
        )

    def apply(wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        duration_s = wave.shape[-1] / sample_rate
        told = parameters or corruption.draw(duration_s, generator)
        corruption.check(told, duration_s, sample_rate)
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        damaged = damage(corruption, told, wave, sample_rate, noise_seed)
        return Damaged(damaged, told.model_dump())

    identity = {"corruption": entry.corruption.model_dump(mode="json"), "parameters": given}
    return Protocol(name, corruption.task, apply, identity)


def damage(
    corruption: Corruption, parameters: Any, wave: Tensor, sample_rate: int, seed: int
) -> Tensor:
    """Damage audio (C, T) as a corruption says: what it calls missing is removed."""
    stretches = corruption.stretches(parameters)
    if stretches is not None:
        return blank(wave, stretches, sample_rate)
    if isinstance(corruption, WaveformCorruption):
        return corruption.apply(wave, parameters, Noise(seed, 1, 1), sample_rate)
    if isinstance(corruption, MaskCorruption):
        return _mask(corruption, parameters, wave, sample_rate)
    raise ConfigError(
        f"the corruption `{corruption.config.name}` can not damage audio outside a model"
    )


def _mask(corruption: MaskCorruption, parameters: Any, wave: Tensor, sample_rate: int) -> Tensor:
    """Remove the rows and frames of an STFT that are missing."""
    window, length = torch.hann_window(N_FFT), wave.shape[-1]
    padded = torch.nn.functional.pad(wave.float(), (0, N_FFT))
    spectrum = torch.stft(
        padded, N_FFT, HOP, window=window, return_complex=True, pad_mode="constant"
    )
    frames = torch.arange(spectrum.shape[-1]) * HOP / sample_rate
    freqs_hz = torch.arange(N_FFT // 2 + 1) * sample_rate / N_FFT
    grid = Grid(sample_rate, freqs_hz, frames, N_FFT / sample_rate)
    kept = spectrum.masked_fill(corruption.missing(grid, parameters), 0)
    return torch.istft(kept, N_FFT, HOP, window=window)[..., :length].to(wave.dtype)
