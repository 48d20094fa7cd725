"""Choices for output files: format, bit depth, channels, and treatment of peaks."""

from __future__ import annotations

from typing import Literal

AudioFormat = Literal["wav", "flac", "ogg", "mp3"]
"""Formats, by the suffix of their files."""

BitDepth = Literal["keep", "16", "24", "32", "float"]
"""Bits of a sample; ``keep`` uses those of the source, if the format supports them."""

ClipMode = Literal["clamp", "rescale", "none"]
"""Treatment of a result that exceeds full scale."""

Stereo = Literal["lr", "ms", "mono"]
"""Channels that are restored: left and right, middle and side, or their mean."""
