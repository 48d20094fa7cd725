"""Progress of a restoration: of the model, and of the finisher after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from torch import Tensor

from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.plan import Plan

FINISHER_SHARE = 0.2
"""Share of the progress that is reserved for a finisher."""


class WholeProgress(Listener):
    """Joins the progress of the model and of the finisher, and reports the end after both.

    The total is the number of frames that the model restores. A share of it is reserved for the
    finisher, which advances with the damaged time of the samples that it returns.

    Args:
        plan: plan of the restoration.
        inner: listener that receives the progress, and the sampled representation.
        skip: first sample of the result.
    """

    def __init__(self, plan: Plan, inner: Listener, skip: int = 0) -> None:
        self.plan, self.inner = plan, inner
        self.share = 0.0 if plan.finisher is None else FINISHER_SHARE
        self.model, self.of = 0, 0
        self.start = self.place = plan.damaged_s(skip)
        self.end = plan.damaged_s()

    def on_progress(self, done: int, of: int) -> None:
        """Receive the progress of the model."""
        self.model, self.of = done, of
        self._report()

    def on_sampled(self, z: Tensor) -> None:
        """Pass the sampled representation on."""
        self.inner.on_sampled(z)

    def watched(self, blocks: Iterable[Tensor], first: int) -> Iterator[Tensor]:
        """Yield the restored blocks (C, n) from sample ``first`` on, and report their progress."""
        for block in blocks:
            yield block
            first += block.shape[-1]
            self.place = max(self.place, self.plan.damaged_s(first))
            if self.share:
                self._report()
        self.inner.on_progress(self.of or self.model, self.of)

    def _report(self) -> None:
        if not self.of:
            self.inner.on_progress(self.model, 0)
            return
        passed = (self.place - self.start) / max(self.end - self.start, 1e-9)
        done = (1 - self.share) * self.model + self.share * self.of * min(1.0, passed)
        self.inner.on_progress(min(math.floor(done + 1e-6), self.of - 1), self.of)
