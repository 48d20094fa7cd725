"""The devices of a machine, and whether they compute."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from a2sb_core.engine.installed import version_of

LITTLE_BYTES = 1 << 30
"""Of a GPU's memory: about what a large model takes."""

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container its limits."""


@dataclass(frozen=True)
class Found:
    """A device, or a kind of device; with ``advice`` where something is worth knowing."""

    name: str
    told: str
    advice: str = ""
    is_broken: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def find_devices() -> Iterator[Found]:
    """Look at the processor, CUDA with what belongs to it, and Apple's GPU."""
    yield _cpu()
    yield from _cuda()
    yield _xformers()
    yield _mps()


def find_memory() -> tuple[int, int]:
    """Return free and whole memory in bytes, of the container where that is held to less."""
    memory = psutil.virtual_memory()
    try:
        most, used = (int((CGROUP / f"memory.{name}").read_text(encoding="utf8"))
                      for name in ("max", "current"))
    except (OSError, ValueError):  # no container of Linux, or one without a limit: "max"
        return memory.available, memory.total
    return min(memory.available, max(0, most - used)), min(memory.total, most)


def _cpu() -> Found:
    import torch

    cores, threads = psutil.cpu_count(logical=False), torch.get_num_threads()
    told = f"{cores or '?'} cores; PyTorch works with {threads} threads"
    return Found("cpu", told, facts={"cores": cores, "threads": threads})


def _cuda() -> Iterator[Found]:
    import torch

    if torch.cuda.is_available():
        yield from (_gpu(index) for index in range(torch.cuda.device_count()))
        return
    built, driver = torch.version.cuda, shutil.which("nvidia-smi") is not None
    if not driver:
        yield Found("cuda", "no NVIDIA driver: not used", facts={"built_for": built})
        return
    what = f"was built for CUDA {built}" if built else "was built without CUDA"
    yield Found(
        "cuda", f"an NVIDIA driver is there, but PyTorch sees no GPU; it {what}",
        "update the driver; `nvidia-smi` tells for which CUDA it is, and CUDA_VISIBLE_DEVICES "
        "may hide the GPU" if built else
        "`pip install --force-reinstall torch torchaudio` of builds for CUDA, in the versions that "
        "a2sb needs", facts={"built_for": built},
    )


def _gpu(index: int) -> Found:
    """Compute on a GPU, and tell of its memory."""
    import torch

    name = f"cuda:{index}"
    told = f"{torch.cuda.get_device_name(index)}, CUDA {torch.version.cuda}"
    try:
        total = float(torch.ones(8, 8, device=name).square().sum())
        free, whole = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        line = str(error).partition("\n")[0]
        return Found(name, f"{told}: it does not compute: {line}",
                     "use --device cpu, or a PyTorch built for this GPU; CUDA_VISIBLE_DEVICES "
                     "hides it", is_broken=True)
    if total != 64:
        return Found(name, f"{told}: it computes wrongly", "use --device cpu", is_broken=True)
    told += f", {free / 1e9:.1f} GB of {whole / 1e9:.1f} GB are free"
    advice = "other programs use it: stop them, or take another device"
    return Found(name, told, advice if free < LITTLE_BYTES else "",
                 facts={"free_bytes": free, "total_bytes": whole})


def _xformers() -> Found:
    """Import it where there is a GPU; without one its import may take the process down."""
    import torch

    found = version_of("xformers")
    facts = {"version": found or None}
    if not found:
        return Found("xformers", "not installed; attention is PyTorch's own", facts=facts)
    if not torch.cuda.is_available():
        return Found("xformers", f"{found}, not used: it works on CUDA only", facts=facts)
    try:
        importlib.import_module("xformers.ops")
    except Exception as error:
        return Found("xformers", f"{found} can not be imported: {error}",
                     "install the version that was built for this PyTorch, or remove it; only "
                     "models whose attention is `xformers` need it", facts=facts)
    return Found("xformers", f"{found}, for models whose attention is `xformers`", facts=facts)


def _mps() -> Found:
    import torch

    if not torch.backends.mps.is_available():
        return Found("mps", "no Apple GPU: not used")
    return Found(
        "mps", "an Apple GPU: a2sb has not been tested on one, only on a pretended one that "
        "refuses what it refuses", "compare a short result with that of --device cpu, and use "
        "that where they differ",
    )
