"""Analysis of a recording: its format, its level, and the damage that each task would restore."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from a2sb_core.audio.formats import AudioInfo
from a2sb_core.common.text import printable
from a2sb_core.errors import A2SBError
from a2sb_core.interfaces import Corruption, Recording
from a2sb_core.models.folder import read_config
from a2sb_core.models.locating import find_model
from a2sb_core.restoration.damage import Damage, inspect
from a2sb_core.restoration.sources import AudioSource


@dataclass(frozen=True)
class TaskFinding:
    """The damage that one task would restore.

    Attributes:
        task: name of the task.
        damage: the damage; None if there is nothing to restore, or if ``error`` is set.
        notes: sentences about the findings.
        error: the reason why the recording cannot be inspected, or an empty text.
    """

    task: str
    damage: Damage | None
    notes: tuple[str, ...] = ()
    error: str = ""

    def describe(self) -> str:
        """Describe the finding to people."""
        return self.error or (self.damage.describe() if self.damage else "nothing to restore")


@dataclass(frozen=True)
class Analysis:
    """A recording and its damage.

    Attributes:
        path: path of the file.
        info: properties of the file.
        peak_dbfs: largest magnitude of a sample, in dB relative to full scale.
        rms_dbfs: root-mean-square level, in dB relative to full scale.
        findings: the damage for each task.
    """

    path: Path
    info: AudioInfo
    peak_dbfs: float
    rms_dbfs: float
    findings: tuple[TaskFinding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the analysis for JSON."""
        return {
            "file": printable(self.path),
            "sample_rate": self.info.sample_rate,
            "channels": self.info.channels,
            "duration_s": self.info.duration_s,
            "peak_dbfs": self.peak_dbfs,
            "rms_dbfs": self.rms_dbfs,
            "damage": {
                one.task: {
                    "found": one.damage.as_dict() if one.damage else None,
                    "description": one.describe(),
                    "notes": list(one.notes),
                    "error": one.error or None,
                }
                for one in self.findings
            },
        }


class Analyzer:
    """Inspects recordings as a model's corruption does before it restores them.

    The weights of the model are not loaded.

    Args:
        model: registered name, folder or hub id of the model.

    Raises:
        ModelError: the model is not found.
    """

    def __init__(self, model: str | Path) -> None:
        config = read_config(find_model(model))
        self.corruption: Corruption = config.corruption.build()
        self.model_rate: int = config.representation.build().sample_rate

    def analyze(self, path: str | Path, tasks: Sequence[str] = ()) -> Analysis:
        """Inspect a file for some tasks, by default for all tasks of the model.

        Raises:
            AudioError: the file cannot be read.
            TaskError: a task is unknown.
        """
        source = AudioSource.open(path)
        assert source.info is not None
        levels = _MeasuredLevels(source)
        recording = replace(source, blocks=levels).recording(self.model_rate)
        chosen = tasks or self.corruption.tasks()
        findings = tuple(self._inspect(task, recording) for task in chosen)
        return Analysis(Path(path), source.info, *levels.measure(), findings)

    def _inspect(self, task: str, recording: Recording) -> TaskFinding:
        corruption = self.corruption.for_task(task)
        notes: list[str] = []
        try:
            damage = inspect(corruption, replace(recording, note=notes.append), {})
        except A2SBError as error:
            return TaskFinding(task, None, tuple(notes), str(error))
        return TaskFinding(task, damage, tuple(notes))


class _MeasuredLevels:
    """The blocks of a source, whose peak and level are measured during the first pass."""

    def __init__(self, source: AudioSource) -> None:
        self.source = source
        self.levels: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.source.blocks)  # type: ignore[arg-type]

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[torch.Tensor]:
        peak, energy, count = 0.0, 0.0, 0
        for block in self.source.blocks:
            yield block
            known = torch.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            peak = max(peak, float(known.abs().amax()))
            energy += float(known.square().sum(dtype=torch.float64))
            count += known.numel()
        self.levels = (_decibel(peak), _decibel(math.sqrt(energy / max(1, count))))

    def measure(self) -> tuple[float, float]:
        """Return peak and level in dB relative to full scale."""
        if self.levels is None:
            for _ in self:
                pass
        assert self.levels is not None
        return self.levels


def _decibel(amplitude: float) -> float:
    return round(20 * math.log10(amplitude), 2) if amplitude > 0 else -math.inf
