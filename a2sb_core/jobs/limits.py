"""Limits of the requests of one visitor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a2sb_core.audio.formats import AudioInfo

MEGABYTE = 1_000_000
COUNTED_CHANNELS, COUNTED_RATE = 2, 48000
"""Channels and sample rate in Hz up to which a minute of audio counts as one minute."""


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
