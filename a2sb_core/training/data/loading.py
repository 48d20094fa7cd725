"""Loading the batches of a process, and statistics of the data that it got."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch.utils.data import DataLoader

from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import TrainingError
from a2sb_core.interfaces import Representation
from a2sb_core.training.data.segments import Segment, Segments
from a2sb_core.training.data.sources import group_weights, list_files


def load_segments(
    config: TrainConfig, representation: Representation, split: str, halo: int = 0
) -> Segments | None:
    """Return the segments of a split; None: it has no files.

    Args:
        config: configuration of the run.
        representation: representation of the model.
        split: split of the files.
        halo: frames on each side of a segment on which its damage depends.

    Raises:
        TrainingError: a source does not exist or is malformed, or there is nothing to train on.
    """
    data = config.data
    files = list_files(data, split)
    if not files:
        return None
    if data.context_s is not None:
        most = math.ceil(data.context_s * representation.sample_rate / representation.stride)
        halo = min(halo, most)
    return Segments(
        files,
        # A centred transform turns this many samples into ``frames`` frames.
        length=max(1, (data.frames - 1) * representation.stride),
        sample_rate=representation.sample_rate,
        count=config.steps * config.batch_size,
        seed=config.seed,
        gain_db=data.gain_db,
        loudness_dbfs=config.model.loudness_dbfs,
        group_weights=group_weights(data) if split == "train" else None,
        augment=data.augment if split == "train" else None,
        audio_channels=representation.audio_channels,
        context=halo * representation.stride,
    )


@dataclass(frozen=True)
class SegmentSampler:
    """Numbers of the segments of each step: every ``processes``-th, from ``rank`` on."""

    steps: range
    batch_size: int
    processes: int = 1
    rank: int = 0

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            start = step * self.batch_size
            yield list(range(start + self.rank, start + self.batch_size, self.processes))


def load_batches(
    segments: Segments, sampler: SegmentSampler, workers: int
) -> Iterator[list[Segment]]:
    """Yield a process's batches in order; ``workers`` processes read them ahead.

    Raises:
        TrainingError: there is no readable audio.
    """
    loader: DataLoader[Segment] = DataLoader(
        segments,
        batch_sampler=sampler,
        collate_fn=list,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    try:
        yield from loader
    except TrainingError as error:  # that of a worker has the worker's traceback as its message
        raise TrainingError(str(error).rpartition(f"{TrainingError.__name__}: ")[2]) from error


@dataclass
class DataStatistics:
    """Statistics of the data of a run.

    Attributes:
        waited_s: time between asking for a batch and getting it, without the first.
        total_s: time since the first batch.
        segments: number of segments.
        padded: segments that were padded with silence.
        quiet: draws that were refused because they were silent.
    """

    waited_s: float = 0.0
    total_s: float = 0.0
    segments: int = 0
    padded: int = 0
    quiet: int = 0

    def watch(self, batches: Iterable[list[Segment]]) -> Iterator[list[Segment]]:
        """Yield the batches and update the statistics."""
        source = iter(batches)
        batch = next(source, None)
        started = time.perf_counter()
        while batch is not None:
            self.segments += len(batch)
            self.padded += sum(segment.padded for segment in batch)
            self.quiet += sum(segment.quiet for segment in batch)
            yield batch
            asked = time.perf_counter()
            batch = next(source, None)
            now = time.perf_counter()
            self.waited_s += now - asked
            self.total_s = now - started

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for data."""
        return self.waited_s / self.total_s if self.total_s else 0.0
