"""A package in place of audiosr, which cannot be installed beside this project."""

import shlex
import sys

PACKAGE = """
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

CALLS = Path(__file__).with_name("calls.jsonl")


def build_model(model_name, device):
    return f"{model_name} on {device}"


def super_resolution(model, path, seed, guidance_scale, ddim_steps):
    wave, rate = soundfile.read(path, dtype="float32")
    with CALLS.open("a") as file:
        print(json.dumps([model, len(wave), rate, seed, guidance_scale, ddim_steps]), file=file)
    made = soxr.resample(wave, rate, 48000)
    return 0.5 * made[None, None].astype(np.float64) / max(1e-9, abs(made).max())
"""


def interpreter(folder):
    """Write a package that returns its input at 48 kHz with a peak of 0.5, and an interpreter.

    The file ``calls.jsonl`` of the folder has a line for each call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audiosr.py").write_text(PACKAGE)
    python = folder / "python"
    words = f"PYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)}"
    python.write_text(f'#!/bin/sh\n{words} "$@"\n')
    python.chmod(0o755)
    return str(python)
