"""Comparison of results of any form, down to their tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from a2sb_core.testing.laws import require


def leaves(result: Any) -> list[Any]:
    """Return the values a result is made of: tensors, and whatever has no parts."""
    return list(_walk(result))


def _walk(result: Any) -> Iterator[Any]:
    if isinstance(result, tuple | list):
        for part in result:
            yield from _walk(part)
    elif dataclasses.is_dataclass(result) and not isinstance(result, type):
        for part in dataclasses.fields(result):
            yield from _walk(getattr(result, part.name))
    else:
        yield result


def equal(a: Any, b: Any) -> bool:
    """Whether two results are the same, to the bit."""
    left, right = leaves(a), leaves(b)
    return len(left) == len(right) and all(map(_same, left, right))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        both = a.shape == b.shape and a.dtype == b.dtype
        return both and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    return bool(a == b)


def deviation(a: Tensor, b: Tensor) -> float:
    """Return the largest difference of two tensors, in units of the larger of 1 and max |b|."""
    a, b = a.detach().double(), b.detach().double()
    if not b.numel():
        return 0.0
    worst = float((a - b).abs().max() / b.abs().max().clamp(min=1))
    return worst if worst == worst else float("inf")


def require_close(a: Tensor, b: Tensor, tolerance: float, what: str) -> None:
    """Require two tensors of one shape to be equal up to rounding.

    Raises:
        BrokenLawError: they are not; ``what`` says what was compared.
    """
    require(a.shape == b.shape, f"{what}: shapes {tuple(a.shape)} and {tuple(b.shape)} differ")
    found = deviation(a, b)
    require(found <= tolerance, f"{what}: they differ by {found:.3g}, allowed is {tolerance:g}")


def require_finite(x: Tensor, what: str) -> None:
    """Require a tensor to hold no NaN and no infinity."""
    require(bool(torch.isfinite(x).all()), f"{what}: NaN or infinity")
