"""Export of the denoiser of a model to ONNX, for programs without PyTorch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from a2sb_core.common.files import put_in_place, staging_folder
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import State
from a2sb_core.models.model import Model
from a2sb_core.models.onnx_runtime import (
    METADATA_KEY,
    NEEDED,
    OnnxAbout,
    OnnxRuntime,
    file_bytes,
    weights_path,
)

OPSET = 18
"""Version of the ONNX operators; ONNX Runtime 1.14 and later evaluate it."""

MOST_WEIGHT_BYTES = 1_500_000_000
"""Weights above this size go to a second file, because an ONNX file holds at most 2 GB."""

TOLERANCE = 1e-3
"""Largest difference between ONNX Runtime and PyTorch, relative to the largest value."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        bytes: its size, with that of a second file for weights.
        difference: largest difference from PyTorch on random inputs, relative to the largest value.
    """

    path: Path
    bytes: int
    difference: float


class Graph(nn.Module):
    """The denoiser of a model as a function of tensors.

    Args:
        model: the model.
        inputs: names of the inputs in their order, see :func:`export_onnx`.
    """

    def __init__(self, model: Model, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *values: Tensor) -> Tensor:
        """Return x0_hat (B, ch, F, W)."""
        given = dict(zip(self.inputs, values, strict=True))
        state = State(given["xt"], given["t"], given["x1"], given.get("missing"))
        network = self.model.network(given.get("conditioning"))
        return self.model.prediction.denoise(network, self.model.bridge, state)


def export_onnx(
    model: Model, path: str | Path, *, int8: bool = False, overwrite: bool = False
) -> Exported:
    """Write the denoiser x0_hat = D(state) of a model as an ONNX file, and check it.

    The graph has the inputs ``xt`` (B, ch, F, W), ``t`` (B,), ``x1`` (B, ch, F, W), for tasks that
    fill a missing region ``missing`` (B, 1, F, W; bool), for a network that is conditioned on K
    parameters of the damage ``conditioning`` (B, 2 K), and the output ``x0`` (B, ch, F, W). W is
    the window of the sampler, and B is free. Metadata describe the model, see :class:`OnnxAbout`.

    Args:
        model: the model, in evaluation mode on the CPU.
        path: file to write. Weights of more than 1.5 GB are written to ``path``.data.
        int8: quantize the weights to 8 bits, and the activations when they are computed.
        overwrite: replace an existing file.

    Raises:
        ModelError: the file exists, a package is missing, a part of the model cannot be exported,
            or the result differs from that of PyTorch.
    """
    target = Path(path)
    check_target(target, overwrite)
    about = OnnxAbout.of(model, int8)
    inputs = example_inputs(model, about)
    with torch.no_grad(), staging_folder(target) as staging:
        graph = Graph(model, tuple(inputs)).eval()
        expected = graph(*inputs.values())  # also fills the caches of constants
        written = staging / "fp32" / target.name
        is_large = _convert(graph, inputs, written)
        if int8:
            whole, written = written, staging / "int8" / target.name
            _quantize(whole, written, is_large)
        _describe(written, about)
        found, size = OnnxRuntime(written).run(inputs), file_bytes(written)
        difference = float((found - expected).abs().max() / expected.abs().max())
        if not int8 and not difference <= TOLERANCE:  # NaN is no equality
            raise ModelError(
                f"ONNX Runtime and PyTorch differ by {difference:.1e} of the largest value, so a "
                "part of the model cannot be exported; use the backend torch"
            )
        _move(written, target)
    return Exported(target, size, difference)


def example_inputs(model: Model, about: OnnxAbout) -> dict[str, Tensor]:
    """Return seeded random inputs of a file for two items, by name."""
    generator = torch.Generator().manual_seed(0)
    representation = model.representation
    sizes = representation.rows, about.window
    inputs = {
        "xt": torch.randn(2, representation.channels, *sizes, generator=generator),
        "t": torch.tensor([1.0, 0.4]),
        "x1": torch.randn(2, representation.channels, *sizes, generator=generator),
    }
    if about.takes_missing:
        inputs["missing"] = torch.rand(2, 1, *sizes, generator=generator) < 0.5
    if count := len(model.config.condition_on):
        values = torch.rand(2, count, generator=generator)
        inputs["conditioning"] = torch.stack([values, torch.ones_like(values)], -1).flatten(1)
    return inputs


def check_target(path: Path, overwrite: bool = False) -> None:
    """Check that a model can be exported to a file.

    Raises:
        ModelError: the file exists, has another suffix than .onnx, or a package is missing.
    """
    if path.suffix != ".onnx":
        raise ModelError(f"an ONNX file needs a name that ends in .onnx, not {path}")
    if path.exists() and not overwrite:
        raise ModelError(f"{path} exists already; choose another file or allow overwriting")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ModelError(f"the export {NEEDED}") from error


def _convert(graph: Graph, inputs: dict[str, Tensor], path: Path) -> bool:
    """Write the graph in 32-bit floats; return whether its weights are in a second file.

    Raises:
        ModelError: PyTorch cannot trace a part of the model, or not for any number of items.
    """
    path.parent.mkdir()
    batch = {0: torch.export.Dim("batch", max=1 << 16)}
    is_large = sum(p.numel() * p.element_size() for p in graph.parameters()) > MOST_WEIGHT_BYTES
    try:
        with _quiet():
            traced = torch.export.export(
                graph,
                tuple(inputs.values()),
                dynamic_shapes=((batch,) * len(inputs),),
                strict=False,
            )
            program = torch.onnx.export(
                traced,
                dynamo=True,
                input_names=list(inputs),
                output_names=["x0"],
                opset_version=OPSET,
                verbose=False,
            )
            assert program is not None
            program.save(path, external_data=is_large)
    except Exception as error:  # PyTorch has many classes for this
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"the model cannot be exported: {reason}. Parts that branch on the values of tensors, "
            "or use `len(x)` in place of `x.shape[0]`, prevent it; use the backend torch"
        ) from error
    return is_large


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what PyTorch reports about its own parts during an export."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _quantize(path: Path, target: Path, is_large: bool) -> None:
    """Write a graph whose weights have 8 bits; unsigned ones have the fastest kernels on a CPU."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target.parent.mkdir()
    with _quiet():
        quantize_dynamic(
            path, target, weight_type=QuantType.QUInt8, use_external_data_format=is_large
        )


def _describe(path: Path, about: OnnxAbout) -> None:
    """Add the metadata to a file."""
    import onnx

    content = onnx.load(path, load_external_data=False)
    onnx.helper.set_model_props(content, {METADATA_KEY: about.as_json()})
    onnx.save(content, path)


def _move(written: Path, target: Path) -> None:
    """Move a file and its weights to their final names; weights of an earlier file are removed."""
    weights, old = weights_path(written), weights_path(target)
    if weights.is_file():
        put_in_place(weights, old)
    else:
        old.unlink(missing_ok=True)
    put_in_place(written, target)
