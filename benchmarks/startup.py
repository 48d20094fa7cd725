"""Time that the command line and `from a2sb_core import Restorer` take to start.

    python benchmarks/startup.py [--plugins 20] [--runs 15]

Plugins of third parties are installed in a temporary folder, each a distribution of its own. The
table shows medians of the wall time and of the processor time in seconds, and the ratio of the
processor time to that of an interpreter that does nothing. The last line is the
processor time that `from a2sb_core import Restorer` takes after `import torch` in one process.
"""

from __future__ import annotations

import argparse
import os
import resource
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
PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "import typer": ["-c", "import typer"],
    "a2sb --help": ["-c", CALL, "--help"],
    "a2sb plugins list": ["-c", CALL, "plugins", "list"],
    "a2sb restore --help": ["-c", CALL, "restore", "--help"],
    "import torch": ["-c", "import torch"],
}
BEYOND_TORCH = """
import time, torch
started = time.process_time()
from a2sb_core import Restorer
print(time.process_time() - started)
"""


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


def seconds(arguments: list[str], site: Path) -> tuple[float, float]:
    """Return the wall time and the processor time of one run."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(site: Path, runs: int) -> dict[str, tuple[float, float]]:
    """Return the medians of all programs, which run in turn; the first round fills the caches."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(runs + 1):
        for name, arguments in PROGRAMS.items():
            times[name].append(seconds(arguments, site))
    return {
        name: (
            statistics.median(wall for wall, _ in found[1:]),
            statistics.median(cpu for _, cpu in found[1:]),
        )
        for name, found in times.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--runs", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), asked.plugins)
        found = measured(Path(folder), asked.runs)
    base = found["python -c pass"][1]
    print(f"{'':24} {'wall':>8} {'cpu':>8}   times an empty interpreter (cpu)")
    for name, (wall, cpu) in found.items():
        print(f"{name:24} {wall:7.3f}s {cpu:7.3f}s   {cpu / base:.1f}")
    command = [sys.executable, "-c", BEYOND_TORCH]
    beyond = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(asked.runs)
    ]
    print(f"{'Restorer beyond torch':24} {'':8} {statistics.median(beyond):7.3f}s")


if __name__ == "__main__":
    main()
