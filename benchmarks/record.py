"""Shared parts of the benchmarks: description of the machine, paired timing, the JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return the properties of the machine on which a figure depends."""
    import torch

    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    """Return the name of the processor if the system reports it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write(folder: Path, name: str, about: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write ``folder``/``name``.json."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), **about, "rows": rows}
    text = json.dumps(record, indent=2, default=str) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf8")


def paired_seconds(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return median times; functions alternate, so that a change of the machine affects all.

    A work must wait for its device. The first round warms up and does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for k in range(rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if k:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
