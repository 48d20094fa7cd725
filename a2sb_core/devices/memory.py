"""Memory of devices: how much is free, how much some work takes, and whether it ran out."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

SAMPLING_S = 0.001
"""How often the memory of the process is looked at during :func:`peak_bytes`, in seconds."""

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux states the limits of a container."""


def host_memory() -> tuple[int, int]:
    """Return the free and the total memory of this machine or container, in bytes."""
    import psutil

    memory = psutil.virtual_memory()
    try:
        limit, used = (
            int((CGROUP / f"memory.{name}").read_text(encoding="utf8"))
            for name in ("max", "current")
        )
    except (OSError, ValueError):  # not in a container, or one without a limit ("max")
        return int(memory.available), int(memory.total)
    return min(memory.available, max(0, limit - used)), min(memory.total, limit)


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device in bytes.

    An Apple GPU shares the memory of the machine and should take only a part of it.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = host_memory()[0]
    if device.type == "mps":
        share = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return max(0, min(free, share))
    return free


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "allocate memory" in text or "not enough memory" in text or "out of memory" in text


def release(device: torch.device) -> None:
    """Give back the free memory that an allocator keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # only the C library of GNU has this function
            ctypes.CDLL(None).malloc_trim(0)


def peak_bytes(device: torch.device, work: Callable[[], None]) -> int:
    """Do some work and return by how many bytes the memory in use grew at most meanwhile."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before
    return _mps_peak(work) if device.type == "mps" else _process_peak(work)


def _mps_peak(work: Callable[[], None]) -> int:
    """Return the growth of the allocator, which keeps its memory, so that this is the peak."""
    torch.mps.empty_cache()
    before = torch.mps.driver_allocated_memory()
    work()
    torch.mps.synchronize()
    return int(torch.mps.driver_allocated_memory()) - before


def _process_peak(work: Callable[[], None]) -> int:
    """Watch the memory of this process from a second thread."""
    import psutil

    release(torch.device("cpu"))  # or the work would use memory that is counted already
    process = psutil.Process()
    before = highest = int(process.memory_info().rss)
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(SAMPLING_S):
            highest = max(highest, int(process.memory_info().rss))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(highest, int(process.memory_info().rss)) - before
