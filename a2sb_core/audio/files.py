"""Audio files: functions that read and write them, and keep the bit depth and the tags."""

from __future__ import annotations

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.formats import AudioInfo
from a2sb_core.audio.reading import info, read, read_blocks
from a2sb_core.audio.writing import AudioWriter, check_target, write

__all__ = [
    "AudioInfo",
    "AudioWriter",
    "check_finite",
    "check_target",
    "info",
    "read",
    "read_blocks",
    "write",
]
