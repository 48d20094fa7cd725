"""Results of the cases, and the short form of them that is kept in ``golden.json``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GOLDEN = Path(__file__).with_name("golden.json")
PROJECTIONS = 32
TOLERANCE = 3e-3
"""Of arrays, relative to the peak: processors differ in the last bits, which decide on the phases
of bins that are nearly silent. Between two processors 1.6e-3 was seen. On one machine, ``compare``
is exact."""
NUMBER_TOLERANCE = 2e-3
"""Of single numbers such as losses and metrics, relative."""


@dataclass(frozen=True)
class Values:
    """An array that a case computes; ``about`` is compared exactly, such as the sample rate."""

    array: npt.NDArray[Any]
    about: dict[str, Any]


Result = Values | dict[str, Any] | list[Any]
"""What a case returns by name: arrays, or numbers and words in the form of JSON."""


def project(array: npt.NDArray[Any]) -> list[float]:
    """Return sums of an array with random signs, so scaled that noise keeps its level.

    A change anywhere changes them: noise of level e in m of n values by e sqrt(m/n) or so.
    """
    flat = array.astype(np.float64).ravel()
    random = np.random.RandomState(0)  # frozen in all versions of NumPy
    sums = []
    for _ in range(PROJECTIONS):
        bits = np.frombuffer(random.bytes(-(-flat.size // 8)), np.uint8)
        signs = 2.0 * np.unpackbits(bits, count=flat.size) - 1.0
        sums.append(float(flat @ signs) / math.sqrt(max(1, flat.size)))
    return sums


def summarize(result: Result) -> Any:
    """Return the short form of a result."""
    if not isinstance(result, Values):
        return result
    array = result.array.astype(np.float64)
    numbers = {
        "peak": float(np.abs(array).max(initial=0.0)),
        "rms": math.sqrt(np.mean(np.square(array))) if array.size else 0.0,
        "projections": project(array),
    }
    described = {"dtype": str(result.array.dtype), "shape": list(result.array.shape)}
    return {**result.about, **described, **json.loads(json.dumps(numbers), parse_float=_rounded)}


def _rounded(text: str) -> float:
    return float(f"{float(text):.8g}")


def differences(found: Result, golden: Any) -> list[str]:
    """Say where a result is not the golden one; nothing is said of equal ones."""
    if not isinstance(found, Values):
        return unlike(found, golden, "", NUMBER_TOLERANCE)
    short, wanted = summarize(found), dict(golden)
    tolerance = TOLERANCE * max(short.pop("peak"), wanted.pop("peak"))
    pairs = [(name, short.pop(name, math.nan), wanted.pop(name)) for name in ("rms", "projections")]
    told = unlike(short, wanted)
    for name, one, other in pairs:
        distance = float(np.abs(np.subtract(one, other)).max())
        if not distance <= tolerance:
            told.append(f"{name}: differs by {distance:.3g}, tolerance {tolerance:.3g}")
    return told


def unlike(found: Any, golden: Any, place: str = "", tolerance: float = 0.0) -> list[str]:
    """Say where two trees of JSON differ; floats may by a relative tolerance, or 1e-6 with one."""
    if isinstance(found, dict) and isinstance(golden, dict):
        lacking = [f"{place}{name}: only in one" for name in sorted(found.keys() ^ golden.keys())]
        return lacking + [
            line
            for name in found.keys() & golden.keys()
            for line in unlike(found[name], golden[name], f"{place}{name}.", tolerance)
        ]
    if isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        return [
            line
            for k, (one, other) in enumerate(zip(found, golden, strict=True))
            for line in unlike(one, other, f"{place}{k}.", tolerance)
        ]
    if isinstance(found, float) and isinstance(golden, int | float):
        is_like = math.isclose(found, golden, rel_tol=tolerance, abs_tol=1e-6 if tolerance else 0)
    else:
        is_like = found == golden
    return [] if is_like else [f"{place.rstrip('.')}: {found!r} and {golden!r}"]


def read_golden() -> dict[str, dict[str, Any]]:
    """Return the golden results by case and name."""
    return json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def write_golden(golden: dict[str, dict[str, Any]]) -> None:
    """Write the golden results, one a line."""
    cases = []
    for case, results in sorted(golden.items()):
        lines = (f"  {json.dumps(name)}: {json.dumps(kept)}" for name, kept in results.items())
        cases.append(f"{json.dumps(case)}: {{\n" + ",\n".join(lines) + "\n }")
    GOLDEN.write_text("{\n " + ",\n ".join(cases) + "\n}\n")
