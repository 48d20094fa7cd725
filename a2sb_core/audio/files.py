"""Audio files: read with clear errors, written whole or not at all, depth and tags kept."""

from __future__ import annotations

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.formats import AudioInfo
from a2sb_core.audio.reading import info, read, read_blocks
from a2sb_core.audio.writing import AudioWriter, ClipMode, check_target, write

__all__ = [
    "AudioInfo",
    "AudioWriter",
    "ClipMode",
    "check_finite",
    "check_target",
    "info",
    "read",
    "read_blocks",
    "write",
]
