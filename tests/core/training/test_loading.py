"""Batches of a process, and the statistics of its data."""

import pytest
import torch

from a2sb_core.errors import TrainingError
from a2sb_core.training.data.loading import DataStatistics, SegmentSampler, load_batches
from a2sb_core.training.data.segments import Segment, Segments
from a2sb_core.training.data.sources import TrainingFile


@pytest.mark.parametrize("workers", [0, 1])
def test_that_nothing_can_be_read_is_told_in_one_line(tmp_path, workers):
    data = Segments([TrainingFile(tmp_path / "absent.wav", 1.0, 22_050.0)], 960, 44_100, 60, 1)
    with pytest.raises(TrainingError) as caught:
        list(load_batches(data, SegmentSampler(range(2), 2), workers))
    assert str(caught.value).startswith("no readable audio in 20 draws; first problem: ")
    assert "absent.wav" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_processes_divide_a_step_among_them():
    whole = list(SegmentSampler(range(2, 5), 6))
    assert whole[0] == [12, 13, 14, 15, 16, 17]
    assert len(whole) == len(SegmentSampler(range(2, 5), 6)) == 3
    parts = [list(SegmentSampler(range(2, 5), 6, 3, rank)) for rank in range(3)]
    for step in range(3):
        assert sorted(n for part in parts for n in part[step]) == whole[step]
    assert list(SegmentSampler(range(5, 5), 6)) == []


def test_the_wait_for_data_is_measured(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("a2sb_core.training.data.loading.time.perf_counter", lambda: clock[0])
    item = Segment(torch.zeros(1), 1.0, "a", padded=True, quiet=2)

    def batches():
        for wait in (9.0, 1.0, 2.0):
            clock[0] += wait
            yield [item, item]

    statistics = DataStatistics()
    for _ in statistics.watch(batches()):
        clock[0] += 3.0  # a step
    # The first batch is not waited for: 3 steps of 3 s, and 1 s and 2 s between them.
    assert (statistics.waited_s, statistics.total_s) == (3.0, 12.0)
    assert statistics.wait_share == 0.25
    assert statistics.segments == 6
    assert (statistics.padded, statistics.quiet) == (6, 12)
    assert DataStatistics().wait_share == 0.0
