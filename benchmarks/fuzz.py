"""Damaged and hostile files through `a2sb analyze` and `a2sb restore`.

    python benchmarks/fuzz.py [--mutations 1000] [--seed 0] [--formats wav,mp3] [--keep FOLDER]

The clean files are made here: the formats that soundfile writes, and those of PyAV where it is
installed. The seed and its number determine a mutation: a file is cut, its bits are flipped, its
header gets extreme numbers, chunks get other sizes, blocks are inserted, exchanged or repeated,
tags become bytes that are no text, the suffix becomes that of another format. Each command runs in
a process that is forked from one which has imported everything; restoration takes one step of a
tiny model. A run passes if it writes an output and ends with exit code 0, or reports an error and
writes no output, within the limits of time and memory, and changes nothing else. The exit code of
the program is 1 if a run fails.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mutated_files import RATE, clean_files, mutation, write_plain

MODEL = Path(__file__).parents[1] / "tests" / "golden" / "model"
COMMANDS = ("analyze", "restore")
TARGETS = ("wav", "flac", "ogg", "mp3", "aiff", "w64")
LARGEST_OUTPUT = 1 << 30


@dataclass
class Run:
    """One command on one mutation.

    Attributes:
        mutation: number of the mutation.
        name: name of the mutated file, which is in ``folder``.
        arguments: arguments of `a2sb`.
        folder: folder of the run.
        seconds: wall time.
        memory_bytes: most memory that the process used.
        code: exit code; negative for a signal.
        text: output of the command on both streams.
        faults: sentences about what is wrong; empty if the run passed.
    """

    mutation: int
    name: str
    arguments: list[str]
    folder: Path
    seconds: float = 0.0
    memory_bytes: int = 0
    code: int = 0
    text: str = ""
    faults: list[str] = field(default_factory=list)


def runs_of(options: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """Write each mutation in turn, and yield its runs."""
    (folder / "clean").mkdir()
    files = clean_files(folder / "clean", set(filter(None, options.formats.split(","))))
    chosen = range(options.first, options.first + options.mutations)
    for k in chosen:
        name, content = mutation(files, options.seed, k)
        for command in options.commands.split(","):
            place = folder / f"{k}_{command}"
            (place / "out").mkdir(parents=True)
            (place / name).write_bytes(content)
            arguments = [command, str(place / name)]
            if command == "analyze":
                arguments.append("--json")
            else:
                task = (
                    ("--task", "bandwidth", "--cutoff", "4000") if k % 2 else ("--task", "inpaint")
                )
                target = place / "out" / f"out.{TARGETS[k % len(TARGETS)]}"
                arguments += ["-o", str(target), *task, "--steps", "1", "--device", "cpu", "-q"]
            yield Run(k, name, [*arguments, "--model", str(options.model)], place)


def start(run: Run) -> int:
    """Start a run in a forked process, and return its number."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_OUTPUT, LARGEST_OUTPUT))
        log = os.open(run.folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["a2sb", *run.arguments]
        from a2sb_core.cli import main as a2sb

        a2sb()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def resident_bytes(process: int) -> int:
    """Return the memory that a process uses now; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def judge(run: Run, status: int, content: bytes, options: argparse.Namespace) -> None:
    """Note what is wrong with a run that ended."""
    log = run.folder / "log"
    run.text = log.read_text(encoding="utf8", errors="replace") if log.exists() else ""
    run.code = os.waitstatus_to_exitcode(status)
    left = sorted(path.name for path in (run.folder / "out").iterdir())
    expected = [Path(run.arguments[3]).name] if run.arguments[0] == "restore" else []
    if run.seconds > options.limit_s:
        run.faults.append(f"took {run.seconds:.0f} s")
    if run.memory_bytes > options.memory_gb * 1e9:
        run.faults.append(f"took {run.memory_bytes / 1e9:.1f} GB")
    if run.code not in (0, 1) and not run.faults:
        run.faults.append(f"exit code {run.code}")
    if "unexpected error" in run.text or "Traceback" in run.text:
        run.faults.append("an unexpected error")
    if left != (expected if run.code == 0 else []):
        run.faults.append(f"left {left}")
    if (run.folder / run.name).read_bytes() != content:
        run.faults.append("changed its input")


def drive(options: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """Run everything, ``options.workers`` at a time, and yield each run when it ended."""
    waiting = runs_of(options, folder)
    going: dict[int, tuple[Run, float, bytes]] = {}
    while True:
        while len(going) < options.workers and (run := next(waiting, None)) is not None:
            content = (run.folder / run.name).read_bytes()
            going[start(run)] = run, time.monotonic(), content
        if not going:
            return
        for process, (run, began, content) in list(going.items()):
            ended, status, used = os.wait4(process, os.WNOHANG)
            run.seconds = time.monotonic() - began
            run.memory_bytes = max(run.memory_bytes, resident_bytes(process))
            is_over = run.memory_bytes > options.memory_gb * 1e9 or run.seconds > options.limit_s
            if ended:
                unit = 1 if sys.platform == "darwin" else 1024
                run.memory_bytes = max(run.memory_bytes, used.ru_maxrss * unit)
                del going[process]
                judge(run, status, content, options)
                if run.faults and options.keep:
                    shutil.copy(run.folder / run.name, options.keep)
                shutil.rmtree(run.folder)
                yield run
            elif is_over:
                os.kill(process, signal.SIGKILL)
        time.sleep(0.005)


def warm_up(folder: Path, model: Path) -> None:
    """Import everything that the commands need, by running both on a clean file."""
    import torch

    from a2sb_core.cli import app

    torch.set_num_threads(1)
    path = folder / "warm.wav"
    write_plain(path, np.full((2, RATE), 0.1, dtype=np.float32), "WAV", "PCM_16")
    common = ["--model", str(model)]
    target = str(folder / "warm.flac")
    gap = ["--task", "inpaint", "--gap", "0.1:0.12", "--steps", "1", "-q"]
    with contextlib.redirect_stdout(io.StringIO()):
        app(["analyze", str(path), "--json", *common], standalone_mode=False)
        app(["restore", str(path), "-o", target, *gap, *common], standalone_mode=False)


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default="", help="suffixes without dots (default: all)")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit-s", type=float, default=20.0)
    parser.add_argument("--memory-gb", type=float, default=2.0)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--keep", type=Path, help="folder for copies of files whose runs fail")
    return parser.parse_args()


def main() -> int:
    """Run all mutations and print what failed."""
    options = parsed()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    ends, slowest, largest, failed = Counter[str](), 0.0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        warm_up(Path(folder), options.model)
        for run in drive(options, Path(folder)):
            command = run.arguments[0]
            ends[f"{command}: " + ("done" if run.code == 0 else "refused")] += not run.faults
            slowest, largest = max(slowest, run.seconds), max(largest, run.memory_bytes)
            if run.faults:
                failed += 1
                text = " ".join(run.text.split())[-300:]
                print(f"{run.name} {command}: {'; '.join(run.faults)}: {text}", flush=True)
    print(", ".join(f"{name} {count}" for name, count in sorted(ends.items()) if count))
    print(f"failed {failed}; slowest {slowest:.1f} s; largest {largest / 1e6:.0f} MB")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
