"""Source of a listening test: the audio and the metrics that an evaluation kept."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from a2sb_core.errors import AudioError, ConfigError
from a2sb_core.evaluation.reports import AUDIO_INDEX, TIMES, VALUES
from a2sb_core.evaluation.runner import Place


@dataclass(frozen=True)
class KeptAudio:
    """Audio and metrics of an evaluation.

    Attributes:
        clean: files of the clean clips, by name.
        restored: files of what the systems returned, by (clip, task, system).
        metrics: values of the metrics, by (clip, task, system) and label.
    """

    clean: dict[str, Path]
    restored: dict[Place, Path]
    metrics: dict[Place, dict[str, float]] = field(default_factory=dict)

    def choose(
        self, tasks: Sequence[str] = (), systems: Sequence[str] = (), limit: int | None = None
    ) -> KeptAudio:
        """Return the part for some tasks and systems (default: all) and the first clips.

        Raises:
            ConfigError: a task or system is unknown.
        """
        found = {
            "task": dict.fromkeys(task for _, task, _ in self.restored),
            "system": dict.fromkeys(system for _, _, system in self.restored),
        }
        for what, given in (("task", tasks), ("system", systems)):
            for name in given:
                if name not in found[what]:
                    raise ConfigError(
                        f"there is no audio of the {what} `{name}`; "
                        f"there is audio of {', '.join(found[what])}"
                    )
        clips = list(self.clean)[:limit]
        restored = {
            (clip, task, system): path
            for (clip, task, system), path in self.restored.items()
            if clip in clips
            and task in (tasks or found["task"])
            and system in (systems or found["system"])
        }
        return KeptAudio({name: self.clean[name] for name in clips}, restored, self.metrics)


def read_kept_audio(folder: Path) -> KeptAudio:
    """Read the list of the audio that `a2sb evaluate --keep-audio` wrote to a folder.

    Raises:
        ConfigError: the folder holds no such list, or a file is malformed.
        AudioError: a file of audio is missing.
    """
    index = folder / AUDIO_INDEX
    if not index.is_file():
        raise ConfigError(
            f"{folder} holds no audio: {AUDIO_INDEX} is missing; run the same `a2sb evaluate` "
            "again with --keep-audio"
        )
    clean, restored = {}, {}
    for number, row in _rows(index, ("clip", "task", "system", "file")):
        path = (folder / row["file"]).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ConfigError(f"{index}, line {number}: `{row['file']}` is outside of {folder}")
        if not path.is_file():
            raise AudioError(
                f"{folder / row['file']} is missing; run the same `a2sb evaluate` again with "
                "--keep-audio"
            )
        if row["system"]:
            restored[row["clip"], row["task"], row["system"]] = path
        else:
            clean[row["clip"]] = path
    for clip, _, _ in restored:
        if clip not in clean:
            raise ConfigError(f"{index} lists no clean audio of the clip {clip}")
    return KeptAudio(clean, restored, read_metrics(folder))


def read_metrics(folder: Path) -> dict[Place, dict[str, float]]:
    """Read the values of the metrics of an evaluation, by (clip, task, system) and label.

    Raises:
        ConfigError: the table is missing or malformed.
    """
    values: dict[Place, dict[str, float]] = {}
    path = folder / VALUES
    for number, row in _rows(path, ("clip", "task", "system")):
        place = row.pop("clip"), row.pop("task"), row.pop("system")
        try:
            read = {name: float(text) for name, text in row.items() if text and name not in TIMES}
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
        values[place] = {name: value for name, value in read.items() if math.isfinite(value)}
    return values


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV file with their numbers."""
    try:
        with path.open(newline="", encoding="utf8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path} lacks the column {', '.join(missing)}")
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(
                        f"{path}, line {reader.line_num}: the number of cells is not that of the "
                        "first line"
                    )
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
