"""Batches of segments for one process, and how long it waits for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from torch.utils.data import DataLoader

from a2sb_core.engine.segments import Segment, Segments
from a2sb_core.errors import TrainingError


@dataclass(frozen=True)
class Share:
    """Which segments a process takes in each step: every ``processes``-th from its ``rank``."""

    first_step: int
    last_step: int
    batch_size: int
    processes: int = 1
    rank: int = 0

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.last_step):
            start = step * self.batch_size
            yield list(range(start + self.rank, start + self.batch_size, self.processes))


def load_batches(segments: Segments, share: Share, workers: int) -> Iterator[list[Segment]]:
    """Read a process's batches ahead, in their order.

    Raises:
        TrainingError: there is no readable audio.
    """
    loader: DataLoader[Segment] = DataLoader(
        segments, batch_sampler=share, collate_fn=list, num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    try:
        yield from loader
    except TrainingError as error:  # a worker's comes with the worker's traceback as its message
        raise TrainingError(str(error).rpartition(f"{TrainingError.__name__}: ")[2]) from error


@dataclass
class Tally:
    """What became of the data: time spent waiting for it, and segments that are not as wished.

    Attributes:
        waited_s: time between asking for a batch and having it; the first does not count.
        total_s: time since the first batch came.
        counts: segments that were ``padded``, and draws that were ``quiet``.
    """

    waited_s: float = 0.0
    total_s: float = 0.0
    segments: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def watch(self, batches: Iterable[list[Segment]]) -> Iterator[list[Segment]]:
        """Yield the batches, and keep the account."""
        source = iter(batches)
        batch = next(source, None)
        started = time.perf_counter()
        while batch is not None:
            self._add(batch)
            yield batch
            asked = time.perf_counter()
            batch = next(source, None)
            now = time.perf_counter()
            self.waited_s += now - asked
            self.total_s = now - started

    def _add(self, batch: list[Segment]) -> None:
        self.segments += len(batch)
        self.counts["padded"] += sum(segment.padded for segment in batch)
        self.counts["quiet"] += sum(segment.quiet for segment in batch)

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for data."""
        return self.waited_s / self.total_s if self.total_s else 0.0
