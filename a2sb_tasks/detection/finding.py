"""Findings of the detectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A damaged stretch.

    Attributes:
        detector: name of the detector.
        start_s: start of the first damaged sample, in seconds.
        end_s: end of the last damaged sample, in seconds.
    """

    detector: str
    start_s: float
    end_s: float


Run = tuple[int, int]
"""First sample of a run, and the sample after its last one."""
