"""Time of `a2sb --help` and `a2sb plugins list` with third-party plugins installed.

    python benchmarks/plugins.py [--plugins 20] [--runs 15]

Prints the median in seconds, and its ratio to an interpreter that does nothing; each plugin is a
distribution of its own, in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOOK = """from a2sb_core.plugins import hookimpl

@hookimpl
def a2sb_register(registrar):
    registrar.add("sampler", "part_{k}", "dist_{k}_parts:Part", summary="one more")
"""
CALL = "from a2sb_core.cli import main; main()"


def install(site: Path, count: int) -> None:
    """Write distributions of one plugin each, as pip would install them."""
    for k in range(count):
        (site / f"dist_{k}.py").write_text(HOOK.format(k=k), encoding="utf8")
        info = site / f"dist_{k}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: dist-{k}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf8")
        points = f"[a2sb]\npoint_{k} = dist_{k}\n"
        (info / "entry_points.txt").write_text(points, encoding="utf8")


def seconds(arguments: list[str], site: Path, runs: int) -> tuple[float, float]:
    """Return the median of the wall time, and of the processor time, of some runs."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    wall, cpu = [], []
    for _ in range(runs + 1):
        started, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True
        )
        after = os.times()
        wall.append(time.perf_counter() - started)
        cpu.append(
            after.children_user + after.children_system
            - before.children_user - before.children_system
        )
    return statistics.median(wall[1:]), statistics.median(cpu[1:])  # the first fills the caches


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--runs", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), asked.plugins)
        base, base_cpu = seconds(["-c", "pass"], Path(folder), asked.runs)
        print(f"{'':24} {'wall':>8} {'cpu':>8}   times an empty interpreter (cpu)")
        print(f"{'python -c pass':24} {base:7.3f}s {base_cpu:7.3f}s")
        for command in ("--help", "plugins list"):
            wall, cpu = seconds(["-c", CALL, *command.split()], Path(folder), asked.runs)
            print(f"{'a2sb ' + command:24} {wall:7.3f}s {cpu:7.3f}s   {cpu / base_cpu:.1f}")


if __name__ == "__main__":
    main()
