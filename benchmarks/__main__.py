"""Run benchmarks: `python benchmarks NAME [OPTIONS]`.

Without a name, all benchmarks that need no audio run. `python benchmarks all` prints one table of
ratios of the shipped model, its parts and peers. `python benchmarks steps CLIPS` measures
quality against steps on clean clips of your own. `python benchmarks ray_scaling` needs Ray
(a2sb[ray]), and `python benchmarks runtimes` needs ONNX Runtime (a2sb[onnx]). `python benchmarks
fuzz` runs the command line on damaged files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALL = ("streaming", "gaps", "network", "many", "orthogonalization", "startup")


def main() -> int:
    """Run one benchmark with its options, or all in turn; return the first exit code above 0."""
    folder, arguments = Path(__file__).parent, sys.argv[1:]
    known = sorted(
        {path.stem for path in folder.glob("*.py")} - {"__main__", "mutated_files", "record"}
    )
    if arguments and arguments[0] not in known:
        print(f"{__doc__}\nbenchmarks: {', '.join(known)}")
        return 2
    codes = []
    for name in arguments[:1] or ALL:
        print(f"== {name}", flush=True)
        command = [sys.executable, str(folder / f"{name}.py"), *arguments[1:]]
        codes.append(subprocess.run(command, check=False).returncode)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
