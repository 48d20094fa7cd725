"""Time of a network evaluation by precision, memory layout, attention and compilation.

    python benchmarks/network.py [--model small|paper] [--device cpu] [--windows 4] [--compiled]

Each variant is timed in turn with the first one, and printed when it is done. `share` is the rate
of floating-point operations, divided by that of a large matrix product in the same precision on the
same machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from record import paired_seconds, write
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from a2sb_backbones import rope_unet
from a2sb_backbones.attention import RotaryAttention
from a2sb_core import Restorer
from a2sb_core.config.loading import load_config
from a2sb_core.config.model import ModelConfig
from a2sb_core.devices.choice import choose_autocast, compile_network
from a2sb_core.models.model import Model
from a2sb_core.restoration.windows import as_window_sampler

MATRIX = 2048
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


@dataclass(frozen=True)
class Way:
    """One way to evaluate a network."""

    precision: str
    layout: str
    attention: str = "sdpa"
    is_compiled: bool = False

    def __str__(self) -> str:
        compiled = ", compiled" * self.is_compiled
        return f"{self.precision}, {self.layout}, {self.attention}{compiled}"


def ways(device: torch.device, compiled: bool) -> Iterator[Way]:
    """Yield the variants that are available on a device."""
    for precision in ("fp32", "bf16"):
        for layout in LAYOUTS:
            yield Way(precision, layout)
        if compiled:
            yield Way(precision, "channels last", is_compiled=True)
    if device.type == "cuda" and find_spec("xformers"):
        yield Way("bf16", "channels last", attention="xformers")


@contextmanager
def laid_out(layout: str) -> Iterator[None]:
    """Let networks keep their values in a layout."""
    with patch.object(rope_unet, "_memory_format", lambda x: LAYOUTS[layout]):
        yield


def evaluation(
    network: nn.Module, way: Way, x: Tensor, condition: Tensor | None
) -> Callable[[], object]:
    """Return a call that evaluates a network in one way, and waits for the result."""
    network = deepcopy(network)
    for module in network.modules():
        if isinstance(module, RotaryAttention):
            module.kind = way.attention  # type: ignore[assignment]
    if way.is_compiled:
        compile_network(network)
    t = torch.full((len(x),), 0.5, device=x.device)

    def evaluate() -> float:
        with torch.no_grad(), laid_out(way.layout), choose_autocast(x.device, way.precision):
            return float(network(x, t, condition).sum())

    return evaluate


def matrix_rate(device: torch.device, precision: str) -> float:
    """Return the rate of a large matrix product in floating-point operations per second."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(MATRIX, MATRIX, device=device, dtype=dtype)
    seconds = paired_seconds({"product": lambda: float((a @ a)[0, 0])}, 5)["product"]
    return 2 * MATRIX**3 / seconds


def row(
    way: Way, windows: int, seconds: dict[str, float], operations: int, matrix: float
) -> dict[str, Any]:
    """Print the result of one way, measured in turn with the first one, and return it."""
    own = seconds[str(way)]
    rate, ratio = operations / own, seconds["first"] / own
    print(
        f"{way!s:36} {windows / own:8.2f} windows/s  x {ratio:5.2f}  "
        f"{rate / 1e9:8.0f} G/s, {100 * rate / matrix:3.0f} % of the matrix rate",
        flush=True,
    )
    return {
        "way": str(way),
        "windows_per_s": windows / own,
        "ratio": ratio,
        "operations_per_s": rate,
        "share_of_matrix_rate": rate / matrix,
    }


def main() -> None:
    """Measure the variants, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small", help="small, paper (random weights), a folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", action="store_true", help="compile too: takes minutes")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    model, frames = load(options.model, options.device)
    network, device = model.backbone, next(model.backbone.parameters()).device
    sizes = model.representation.rows, frames
    x = torch.randn(options.windows, model.representation.channels, *sizes, device=device)
    more = model.prediction.condition_channels
    condition = torch.zeros(options.windows, more, *sizes, device=device) if more else None
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(x, torch.ones(len(x), device=device), condition)
    operations = counter.get_total_flops()
    print(f"{operations / len(x) / 1e9:.1f} G operations a window of {frames} frames", flush=True)
    first, rates, rows = None, {}, []
    for way in ways(device, options.compiled):
        if way.precision not in rates:
            rates[way.precision] = matrix_rate(device, way.precision)
        call = evaluation(network, way, x, condition)
        first = first or call
        seconds = paired_seconds({"first": first, str(way): call}, options.rounds)
        rows.append(row(way, len(x), seconds, operations, rates[way.precision]))
    about = {"model": options.model, "windows": len(x), "device": str(device), "matrix": rates}
    write(options.output, f"network_{Path(options.model).name}_{device.type}", about, rows)


def load(name: str, device: str) -> tuple[nn.Module, int]:
    """Return a model and the frames of its windows."""
    if name == "paper":
        restorer = Restorer(Model(load_config(ModelConfig, "paper")), device=device)
    else:
        restorer = Restorer.from_pretrained(name, device=device)
    return restorer.model, as_window_sampler(restorer.model.sampler).window or 256


if __name__ == "__main__":
    main()
