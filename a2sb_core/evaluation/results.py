"""Results of single restorations, kept in a file with one JSON object a line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from a2sb_core.common.files import atomic_write_text
from a2sb_core.errors import ConfigError


@dataclass(frozen=True)
class Result:
    """Restoration of one clip by one system under one protocol.

    Attributes:
        key: fingerprint of the clip, the protocol, the system and their settings.
        values: results of the metrics, by their fingerprints; None where a metric does not apply.
        skipped: why the system does not do the task; empty where it does.
        audio_s: length of the clip, in seconds.
        seconds: time that the restoration took.
        sample_rate: sample rate of the clip, in Hz.
        profile: mean magnitude of the restored audio in bands of equal width from 0 Hz to half the
            sample rate; of the damaged stretches only where the damage has stretches.
        true_profile: the same of the truth.
        histograms: histograms of the diagnostics of a model, by name, in bands.
    """

    key: str
    clip: str
    task: str
    system: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    skipped: str = ""
    audio_s: float = 0.0
    seconds: float = 0.0
    sample_rate: int = 0
    profile: list[float] = field(default_factory=list)
    true_profile: list[float] = field(default_factory=list)
    histograms: Mapping[str, Any] = field(default_factory=dict)


def fingerprint(*parts: Any) -> str:
    """Return a short hash of JSON values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class ResultStore:
    """Results in a file; a later line replaces an earlier one with the same key.

    Raises:
        ConfigError: the file cannot be read or written.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self._kept: dict[str, Result] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf8") if path.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be used: {error}") from error
        for line in [] if fresh else text.splitlines():
            # An interruption may leave a torn line, which is computed again.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                result = _read_line(line)
                self._kept[result.key] = result
        if fresh or (text and not text.endswith("\n")):
            atomic_write_text(path, "".join(map(_line, self._kept.values())))

    def get(self, key: str) -> Result | None:
        """Return the result with a key; None if there is none."""
        return self._kept.get(key)

    def add(self, result: Result) -> None:
        """Keep a result, in the file too."""
        self._kept[result.key] = result
        with self.path.open("a", encoding="utf8") as file:
            file.write(_line(result))


def _read_line(line: str) -> Result:
    known = {one.name for one in fields(Result)}
    read = json.loads(line)
    # Version 0.1 wrote its only histogram as a field of its own, null where there was none.
    others = {name: value for name, value in read.items() if name not in known and value}
    kept = {name: value for name, value in read.items() if name in known}
    return Result(**{"histograms": others, **kept})


def _line(result: Result) -> str:
    values = {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in result.values.items()
    }
    return json.dumps(asdict(result) | {"values": values}) + "\n"
