"""Requests of each visitor within a period, for limits on logins and uploads."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from a2sb_core.jobs.limits import MEGABYTE, Limits

DAY_S = 24 * 3600.0


@dataclass
class Visit:
    """One counted request.

    Attributes:
        at: time of its begin, in seconds of the monotonic clock.
        size: bytes of its body so far.
        files: files of its body so far.
    """

    at: float = field(default_factory=time.monotonic)
    size: int = 0
    files: int = 0


class Visits:
    """The requests of each visitor in the last ``period_s`` seconds; older ones are forgotten."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self._by_visitor: dict[str, list[Visit]] = {}

    def of(self, visitor: str) -> list[Visit]:
        """Return the recent requests of a visitor, oldest first."""
        since = time.monotonic() - self.period_s
        return [visit for visit in self._by_visitor.get(visitor, ()) if visit.at >= since]

    def begin(self, visitor: str) -> Visit:
        """Count a request, and return it, so that its size can grow."""
        recent = {one: self.of(one) for one in self._by_visitor}
        self._by_visitor = {one: visits for one, visits in recent.items() if visits}
        visit = Visit()
        self._by_visitor.setdefault(visitor, []).append(visit)
        return visit

    def excess(self, visitor: str, limits: Limits, more: int = 0) -> str:
        """Return why the uploads of a visitor exceed the daily limits, or an empty text.

        Args:
            visitor: the visitor.
            limits: the limits.
            more: number of bytes that are still to come.
        """
        day = self.of(visitor)
        if len(day) > limits.daily_files or sum(one.files for one in day) > limits.daily_files:
            return f"more than {limits.daily_files} files in a day exceed the limit of this server"
        if sum(one.size for one in day) + more > limits.daily_megabytes * MEGABYTE:
            return f"more than {limits.daily_megabytes} MB in a day exceed the limit of this server"
        return ""

    def clear(self, visitor: str) -> None:
        """Forget the requests of a visitor."""
        self._by_visitor.pop(visitor, None)
