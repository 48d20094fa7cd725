"""Rewrite the golden results, or compare them to the bit with those of another checkout.

    python -m tests.golden write [NAME...]            rewrite golden.json, or some cases of it
    python -m tests.golden compare OTHER [NAME...]    compare this checkout with another one

NAME is a case, or CASE/RESULT. Both checkouts run the cases of this one, in the environment of the
interpreter that runs this; all is computed with one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .results import Result, Values, read_golden, summarize, unlike, write_golden

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

Computed = dict[str, dict[str, Result]]


def compute(names: list[str], go_on: bool = False) -> Computed:
    """Compute the cases that are named, or all; of ``CASE/RESULT`` only that result is kept.

    With ``go_on`` a case that fails is left out, after its error is printed.
    """
    from .cases import CASES

    if unknown := [name for name in names if name.partition("/")[0] not in CASES]:
        sys.exit(f"unknown: {', '.join(unknown)}; the cases are {', '.join(CASES)}")
    torch.set_num_threads(1)  # the number of threads decides the last bits
    computed: Computed = {}
    for name, function in CASES.items():
        wanted = [asked for asked in names if asked.partition("/")[0] == name]
        if names and not wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                results = function(Path(folder))
            except Exception:
                if not go_on:
                    raise
                traceback.print_exc()
                continue
        computed[name] = {
            key: result
            for key, result in results.items()
            if not wanted or name in wanted or f"{name}/{key}" in wanted
        }
        print(f"computed {name}", file=sys.stderr, flush=True)
    return computed


def write(names: list[str]) -> None:
    """Rewrite the golden results of the cases that are named, or of all."""
    golden = read_golden() if names else {}
    for case, results in compute(names).items():
        short = {name: summarize(result) for name, result in results.items()}
        golden[case] = golden.get(case, {}) | short if names else short
    write_golden(golden)


def dump(folder: Path, names: list[str]) -> None:
    """Write all that is computed into a folder, whole."""
    index: dict[str, Any] = {"package": _package()}
    for case, results in compute(names, go_on=True).items():
        for name, result in results.items():
            key, about = f"{case}/{name}", result
            if isinstance(result, Values):
                np.save(folder / f"{len(index)}.npy", result.array)
                about = result.about | {"array": f"{len(index)}.npy"}
            index[key] = about
    (folder / "index.json").write_text(json.dumps(index))


def _package() -> str:
    return str(Path(str(importlib.import_module("a2sb_core").__file__)).parents[1])


def compare(other: Path, names: list[str]) -> bool:
    """Print a line for each result, and whether it is the same to the bit; return if all are."""
    first, second = (_dumped(checkout.resolve(), names) for checkout in (ROOT, other))
    are_identical = True
    for name in dict.fromkeys((*first, *second)):
        if name not in first or name not in second:
            verdict, identical = "only in one", False
        else:
            verdict, identical = _verdict(first[name], second[name])
        are_identical &= identical
        digests = "  ".join(_digest(side.get(name))[:12].ljust(12) for side in (first, second))
        print(f"{name:42} {digests}  {verdict}")
    return are_identical


def _dumped(checkout: Path, names: list[str]) -> dict[str, Any]:
    """Compute the cases in a process that imports the packages of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        # -P keeps the current folder, and the packages in it, off the path.
        command = [sys.executable, "-P", "-m", HERE.name, "dump", folder, *names]
        path = os.pathsep.join((str(checkout), str(HERE.parent)))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        print(f"computing with {checkout}", file=sys.stderr)
        subprocess.run(command, check=True, env=os.environ | threads | {"PYTHONPATH": path})
        index: dict[str, Any] = json.loads(Path(folder, "index.json").read_text())
        used = index.pop("package")
        if Path(used) != checkout:
            sys.exit(f"{checkout} holds no package a2sb_core: the one in {used} was imported")
        for value in index.values():
            if isinstance(value, dict) and "array" in value:
                value["array"] = np.load(Path(folder, value["array"]))
    return index


def _digest(value: Any) -> str:
    """Return the SHA-256 of all that a result holds."""
    if value is None:
        return "-"
    rest, data = value, b""
    if isinstance(value, dict) and "array" in value:
        array = value["array"]
        rest, data = value | {"array": [str(array.dtype), array.shape]}, array.tobytes()
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode() + data).hexdigest()


def _verdict(first: Any, second: Any) -> tuple[str, bool]:
    if _digest(first) == _digest(second):
        return "identical", True
    one, other = (side.get("array") if isinstance(side, dict) else None for side in (first, second))
    if one is None or other is None:
        lines = unlike(first, second)
        return f"DIFFERENT in {len(lines)} places: {', '.join(lines[:3])}", False
    if one.shape != other.shape:
        return f"DIFFERENT: {one.shape}, {other.shape}", False
    distance = np.abs(one.astype(np.float64) - other).max(initial=0.0)
    return f"DIFFERENT, by at most {distance:.3g}", False


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (
        ("write", "rewrite golden.json"),
        ("compare", "compare with a checkout"),
        ("dump", "write whole results into a folder"),
    ):
        command = commands.add_parser(name, help=about)
        if name != "write":
            command.add_argument("path", type=Path, metavar="OTHER" if name == "compare" else "DIR")
        command.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    if asked.command == "write":
        write(asked.names)
    elif asked.command == "dump":
        dump(asked.path, asked.names)
    else:
        sys.exit(0 if compare(asked.path, asked.names) else 1)


if __name__ == "__main__":
    main()
