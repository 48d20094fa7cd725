"""The public surfaces that the cases use: the command line and ``a2sb_core.Restorer``."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile

from .results import Values
from .signals import Wave

MODEL = Path(__file__).parent / "model"
"""A tiny model, written by the first version: that it still loads is part of the test."""

ON_CPU = ("--device", "cpu", "--precision", "fp32")
MAIN = "import sys; sys.argv[0] = 'a2sb'; from a2sb_core.cli import main; main()"
PROCESS = (sys.executable, "-P", "-c", MAIN)
"""-P keeps the packages in the current folder off the path: they may be another checkout's."""


def a2sb(*arguments: object) -> str:
    """Run the command line in this process; return what it prints."""
    from a2sb_core.cli import main

    argv, printed, code = ["a2sb", *map(str, arguments)], io.StringIO(), None
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(printed):
        try:
            main()
        except SystemExit as end:
            code = end.code
    if code:
        raise AssertionError(f"{' '.join(argv)} ended with code {code}")
    return printed.getvalue()


def a2sb_json(*arguments: object) -> dict[str, Any]:
    """Run the command line in this process; return the JSON object that it prints."""
    found: dict[str, Any] = json.loads(a2sb(*arguments, "--json"))
    return found


def _process() -> dict[str, Any]:
    """Return how to start a process that imports the packages that this one does."""
    origin = importlib.util.find_spec("a2sb_core")
    assert origin is not None and origin.origin is not None
    return {"env": os.environ | {"PYTHONPATH": str(Path(origin.origin).parents[1])}}


def a2sb_pipe(data: bytes, *arguments: object) -> bytes:
    """Run the command line in another process; return what it writes for what it is sent."""
    command = [*PROCESS, *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=120, **_process())
    assert done.returncode == 0, done.stderr.decode()
    return bytes(done.stdout)


def a2sb_killed(*arguments: object) -> None:
    """Start a restoration in another process and kill it when half of it is done."""
    command = [*PROCESS, *map(str, arguments), "--progress", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, **_process()) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith(b"{") and 2 * (told := json.loads(line))["done"] > told["of"]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, b"".join(lines).decode()


@cache
def _restorer(model: str) -> Any:
    from a2sb_core import Restorer

    return Restorer.from_pretrained(model, device="cpu", precision="fp32")


def restored(model: str | Path, wave: Wave, rate: int, **options: Any) -> Values:
    """Restore a tensor in one piece, in single precision."""
    found = _restorer(str(model)).restore(wave.astype(np.float32), rate, seed=0, **options)
    return Values(found, {})


def heard(path: Path) -> Values:
    """Read the samples of a file that was written."""
    info = soundfile.info(path)
    samples = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    return Values(samples, {"rate": info.samplerate, "subtype": info.subtype})


def chosen(tree: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return some of the entries of a mapping: others may be added or worded differently."""
    return {name: tree[name] for name in names}
