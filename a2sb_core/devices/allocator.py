"""The allocator of main memory, which can keep what is freed for the next allocation."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from a2sb_core.devices.memory import release

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # parameters of mallopt in the GNU C library
USUAL = {TRIM_THRESHOLD: 1 << 26, MMAP_MAX: 1 << 16}
KEPT = {TRIM_THRESHOLD: (1 << 31) - 1, MMAP_MAX: 0}


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """Keep freed main memory in this process for the duration of the context.

    The GNU C library returns each large tensor to the system when it is freed, and the system fills
    the next one with zeros, which takes a third of the time of a convolutional network on a CPU.
    Memory is returned when the context ends. Other systems and devices, and settings of the user
    (``MALLOC_...``), are left as they are. The context has an effect in the main thread only,
    because the other threads allocate from areas of limited size.
    """
    library = ctypes.CDLL(None) if os.name == "posix" else None
    is_set = any(name.startswith("MALLOC_") for name in os.environ)
    if device.type != "cpu" or is_set or not hasattr(library, "malloc_trim"):
        yield
        return
    assert library is not None
    for parameter, value in KEPT.items():
        library.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in USUAL.items():
            library.mallopt(parameter, value)
        release(device)
