"""Damage that is found by itself: NaN, digital silence inside music, stuck samples, clicks."""

from a2sb_core.audio.damage.finding import Finding
from a2sb_core.audio.damage.search import DETECTORS, find_gaps

__all__ = ["DETECTORS", "Finding", "find_gaps"]
