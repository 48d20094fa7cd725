"""Sessions of the page: the folder of a visitor, limits, and cancelling."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.audio.formats import AudioInfo

COUNTED_CHANNELS, COUNTED_RATE = 2, 48000
"""Channels and sample rate in Hz up to which a minute of audio counts as one minute."""


class CancelledError(A2SBError):
    """The user cancelled."""

    def __init__(self, text: str = "cancelled: nothing was written") -> None:
        super().__init__(text)


def _memory_bytes() -> int:
    """Return half of the memory of this machine or container."""
    from a2sb_core.devices.memory import host_memory

    return host_memory()[1] // 2


@dataclass(frozen=True)
class Limits:
    """Limits of the requests of one visitor.

    Attributes:
        minutes: length of the longest recording, in minutes of stereo at `COUNTED_RATE`; see
            :meth:`counted_minutes`.
        megabytes: size of the largest uploaded file, in MB.
        files: largest number of recordings in a batch and in an upload.
        steps: largest number of steps.
        work_minutes: longest time that the restoration of one recording may take, in minutes.
        memory_bytes: largest main memory of a process that inspects or restores, in bytes.
        daily_megabytes: size of all uploads of a visitor within a day, in MB.
        daily_files: number of files that a visitor may upload within a day.
    """

    minutes: float = 30.0
    megabytes: int = 500
    files: int = 100
    steps: int = 200
    work_minutes: float = 240.0
    daily_megabytes: int = 10_000
    daily_files: int = 1000
    memory_bytes: int = field(default_factory=_memory_bytes)

    @staticmethod
    def counted_minutes(info: AudioInfo) -> float:
        """Return the length in minutes; more than two channels and higher rates count as more.

        Fewer channels and lower rates do not count as less: they are resampled to the rate of the
        model.
        """
        channels = max(1.0, info.channels / COUNTED_CHANNELS)
        rate = max(1.0, info.sample_rate / COUNTED_RATE)
        return info.duration_s / 60 * channels * rate


@dataclass
class Session:
    """One browser tab of a visitor: its folder, and an event that stops its work."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def new(cls, root: Path) -> Session:
        """Create a session with an empty folder below ``root``."""
        return cls(Path(tempfile.mkdtemp(prefix="session-", dir=root)))

    def room(self) -> Path:
        """Return a new empty folder of this session."""
        return Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))

    def close(self) -> None:
        """Stop the running work, and remove all files."""
        self.stop.set()
        shutil.rmtree(self.folder, ignore_errors=True)
