"""What a detector says of a place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A damaged stretch.

    Attributes:
        detector: which one found it.
        start_s: first damaged sample, in seconds.
        end_s: end of the last damaged sample, in seconds.
    """

    detector: str
    start_s: float
    end_s: float


Run = tuple[int, int]
"""First sample, and the one after the last."""
