"""Freed memory is kept for a while, and then returned."""

import psutil
import torch

from a2sb_core.devices.allocator import kept_memory


def test_memory_is_returned_at_the_end():
    process = psutil.Process()
    before = process.memory_info().rss
    with kept_memory(torch.device("cpu")):
        for value in range(4):
            assert float(torch.full((1 << 24,), float(value)).mean()) == value  # 64 MB
    assert process.memory_info().rss - before < 32 << 20


def test_other_devices_are_left_alone():
    with kept_memory(torch.device("meta")):
        assert torch.ones(3).sum() == 3
