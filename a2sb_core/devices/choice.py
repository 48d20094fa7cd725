"""Choice of the device and of the precision of computations."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import cache
from typing import Literal, get_args

import torch

from a2sb_core.errors import ModelError

Precision = Literal["auto", "fp32", "bf16"]
MEASUREMENTS = 8
"""Number of measurements in each precision, taken in turns by one thread; the fastest counts, so
that other work on the machine does not decide."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device; ``auto`` is the fastest kind that this machine has.

    Raises:
        ModelError: the device is unknown or not available.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, here in present.items() if here), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"there is no device `{name}`; use auto, cpu, cuda or mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        present["cuda"] = False
    if device.type == "mps" and (device.index or 0) > 0:  # there is only one
        present["mps"] = False
    if not present.get(device.type, device.type == "cpu"):
        raise ModelError(
            f"the device `{name}` is not available on this machine; use `auto` or `cpu`"
        )
    return device


def choose_precision(device: torch.device, precision: str) -> Literal["fp32", "bf16"]:
    """Return a precision; ``auto`` is bf16 if the device computes faster in it, as measured.

    Raises:
        ModelError: the precision is unknown.
    """
    if precision not in get_args(Precision):
        raise ModelError(f"there is no precision `{precision}`; use auto, fp32 or bf16")
    if precision == "auto":
        precision = "bf16" if _computes_bf16(device) and _gains_by_bf16(device) else "fp32"
    return "bf16" if precision == "bf16" else "fp32"


def choose_autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the autocast context for the precision of :func:`choose_precision`."""
    if choose_precision(device, precision) == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


@cache
def _gains_by_bf16(device: torch.device) -> bool:
    """Measure whether a convolution like those of the networks is faster in bf16."""
    x = torch.ones(1, 128, 64, 64, device=device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = torch.nn.Conv2d(128, 128, 3, padding=1, device=device)

    layers = {
        dtype: (deepcopy(network).to(dtype), x.to(dtype))
        for dtype in (torch.bfloat16, torch.float32)
    }
    best, threads = dict.fromkeys(layers, float("inf")), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dtype in list(layers) * MEASUREMENTS:
            layer, h = layers[dtype]
            started = time.perf_counter()
            with torch.no_grad():
                float(layer(h).sum())  # waits for the device
            best[dtype] = min(best[dtype], time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return best[torch.bfloat16] < best[torch.float32]


def compile_network(network: torch.nn.Module) -> None:
    """Compile a network on its first call with each size of inputs.

    On CUDA, further calls with the same size are replayed as CUDA graphs.
    """
    is_cuda = next(network.parameters()).device.type == "cuda"
    network.compile(mode="reduce-overhead" if is_cuda else "default", dynamic=False)


def is_compiled(network: torch.nn.Module) -> bool:
    """Whether :func:`compile_network` was called."""
    return network._compiled_call_impl is not None
