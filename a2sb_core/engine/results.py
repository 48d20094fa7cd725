"""Results of an evaluation as they come, in a file of one JSON object a line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from a2sb_core.errors import ConfigError


@dataclass(frozen=True)
class Result:
    """What one system made of one clip under one protocol.

    Attributes:
        key: fingerprint of the clip, the protocol, the system and their settings.
        values: of the metrics, by fingerprint; None where one says nothing.
        skipped: why the system does not do the task; empty where it does.
        audio_s: length of the clip in seconds.
        seconds: time the restoration took.
        profile: mean magnitude of the restored audio in even bands from 0 Hz to half the sample
            rate, in the gaps only where there are gaps.
        true_profile: the same of the truth.
        phase: histogram of the phase residual (18) in bands; None for other systems.
        sample_rate: Hz.
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
    phase: dict[str, Any] | None = None


def fingerprint(*parts: Any) -> str:
    """Return a short hash of values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Results:
    """Results in a file; a later line of the same key replaces an earlier one.

    Raises:
        ConfigError: the file can not be read or written.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self._kept: dict[str, Result] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf8") if path.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} can not be used: {error}") from error
        for line in [] if fresh else text.splitlines():
            # A line that an interruption has torn counts as not there.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                result = Result(**json.loads(line))
                self._kept[result.key] = result
        if fresh or (text and not text.endswith("\n")):
            self._rewrite()

    def get(self, key: str) -> Result | None:
        """Return what is known under a key."""
        return self._kept.get(key)

    def add(self, result: Result) -> None:
        """Keep a result, in the file too."""
        self._kept[result.key] = result
        with self.path.open("a", encoding="utf8") as file:
            file.write(_line(result))

    def _rewrite(self) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(map(_line, self._kept.values())), encoding="utf8")
        os.replace(partial, self.path)


def _line(result: Result) -> str:
    values = {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in result.values.items()
    }
    return json.dumps(asdict(result) | {"values": values}) + "\n"
