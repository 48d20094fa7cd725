"""Where and in which precision to compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from a2sb_core.errors import ModelError

Precision = Literal["auto", "fp32", "bf16"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or the best there is.

    Raises:
        ModelError: the device is unknown, or not on this machine.
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
    if not present.get(device.type, device.type == "cpu"):
        raise ModelError(
            f"the device `{name}` is not available on this machine; use `auto` or `cpu`"
        )
    return device


def choose_autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the autocast context of a precision; auto is bf16 where the device computes in it.

    Raises:
        ModelError: the precision is unknown.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ModelError(f"there is no precision `{precision}`; use auto, fp32 or bf16")
    if precision == "auto":
        precision = "bf16" if _computes_bf16(device) else "fp32"
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
