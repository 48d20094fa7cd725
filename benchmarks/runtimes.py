"""Time of the denoiser in PyTorch and in ONNX Runtime, in 32-bit floats and in 8 bits.

    python benchmarks/runtimes.py [--model small] [--windows 1] [--rounds 7]

All are timed in turn on the same random inputs. The table shows the windows per second, the ratio
to PyTorch in float32, and the difference of the result from it in dB. Needs a2sb[onnx].
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from record import paired_seconds, write
from torch import Tensor

from a2sb_core.devices.choice import choose_autocast, choose_precision
from a2sb_core.interfaces import State
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.models.onnx_export import example_inputs, export_onnx
from a2sb_core.models.onnx_runtime import OnnxAbout, OnnxRuntime


def variants(model: Model, state: State, folder: Path) -> dict[str, Callable[[], Tensor]]:
    """Return calls that evaluate the denoiser, by name."""

    def call(own: Model, precision: str = "fp32") -> Callable[[], Tensor]:
        def evaluate() -> Tensor:
            with torch.no_grad(), choose_autocast(state.xt.device, precision):
                return own.denoiser()(state).float()

        return evaluate

    calls = {"torch fp32": call(model)}
    if choose_precision(state.xt.device, "auto") == "bf16":
        calls["torch bf16"] = call(model, "bf16")
    for name, int8 in (("onnx fp32", False), ("onnx int8", True)):
        path = export_onnx(model, folder / f"{int8}.onnx", int8=int8).path
        calls[name] = call(model.evaluated_by(OnnxRuntime(path)))
    return calls


def main() -> None:
    """Measure, print and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    model = load_model(options.model)
    given = example_inputs(model, OnnxAbout.of(model))
    index = torch.arange(options.windows) % 2
    missing = given["missing"][index] if "missing" in given else None
    state = State(given["xt"][index], given["t"][index], given["x1"][index], missing)
    with tempfile.TemporaryDirectory() as folder:
        calls = variants(model, state, Path(folder))
        seconds = paired_seconds(calls, options.rounds)
        outputs = {name: call() for name, call in calls.items()}
    first, rows = next(iter(calls)), []
    for name, own in seconds.items():
        error = float((outputs[name] - outputs[first]).norm() / outputs[first].norm())
        error_db = 20 * torch.tensor(error).log10().item()
        rate, ratio = options.windows / own, seconds[first] / own
        print(f"{name:12} {rate:8.2f} windows/s  x {ratio:5.2f}  {error_db:8.1f} dB", flush=True)
        rows.append({"way": name, "windows_per_s": rate, "ratio": ratio, "difference_db": error_db})
    write(options.output, "runtimes", {"model": options.model, "windows": options.windows}, rows)


if __name__ == "__main__":
    main()
