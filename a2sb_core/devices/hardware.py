"""The devices of a machine, and whether they compute correctly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch

from a2sb_core.common.text import format_bytes

LITTLE_BYTES = 1 << 30
"""Free memory of a GPU below which a note is made: about what a large model takes."""


@dataclass(frozen=True)
class DeviceReport:
    """A device, what is known of it, and advice if something should be done about it."""

    name: str
    message: str
    advice: str = ""
    is_broken: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def find_devices() -> Iterator[DeviceReport]:
    """Report on the processor, on each CUDA GPU after a test computation, and on Apple's GPU."""
    cores, threads = psutil.cpu_count(logical=False), torch.get_num_threads()
    yield DeviceReport(
        "cpu",
        f"{cores or '?'} cores; PyTorch uses {threads} threads",
        facts={"cores": cores, "threads": threads},
    )
    if torch.cuda.is_available():
        yield from map(_gpu, range(torch.cuda.device_count()))
    elif shutil.which("nvidia-smi"):
        yield DeviceReport(
            "cuda",
            "an NVIDIA driver is installed, but PyTorch finds no GPU; it was built "
            + (f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"),
            "update the driver, or install torch and torchaudio for its CUDA version (shown by "
            "`nvidia-smi`); CUDA_VISIBLE_DEVICES may hide the GPU",
        )
    if torch.backends.mps.is_available():
        yield DeviceReport(
            "mps",
            "an Apple GPU; a2sb was tested on a simulated one only",
            "compare a short result with that of --device cpu",
        )


def _gpu(index: int) -> DeviceReport:
    """Compute on a GPU and report its memory."""
    name, title = f"cuda:{index}", torch.cuda.get_device_name(index)
    try:
        total = float(torch.ones(8, 8, device=name).square().sum())
        free, whole = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        cause = str(error).partition("\n")[0]
        advice = "use --device cpu, or install a PyTorch that was built for this GPU"
        return DeviceReport(name, f"{title} does not compute: {cause}", advice, is_broken=True)
    if total != 64:
        return DeviceReport(
            name, f"{title} computes wrong results", "use --device cpu", is_broken=True
        )
    return DeviceReport(
        name,
        f"{title}, CUDA {torch.version.cuda}, {format_bytes(free)} of {format_bytes(whole)} free",
        "stop other programs that use it, or choose another device" if free < LITTLE_BYTES else "",
        facts={"free_bytes": free, "total_bytes": whole},
    )
