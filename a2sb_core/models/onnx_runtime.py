"""The denoiser of a model in ONNX Runtime, from a file that :mod:`onnx_export` wrote."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Denoiser, MaskCorruption, State, WindowSampler

if TYPE_CHECKING:
    from a2sb_core.models.model import Model

METADATA_KEY = "a2sb"
"""Key of the metadata of a file whose value is an :class:`OnnxAbout` as JSON."""

NEEDED = "needs ONNX packages that are not installed: `pip install 'a2sb[onnx]'`"
"""End of the message about a missing package."""


@dataclass(frozen=True)
class OnnxAbout:
    """Metadata of an ONNX file.

    Attributes:
        identity: digest of the weights and of the configuration of the denoiser.
        window: number of frames W of the inputs.
        takes_missing: whether there is an input ``missing``; without it, everything may change.
        int8: whether weights and activations of the network are quantized to 8 bits.
        model: the composition of the model, as in ``config.json``.
    """

    identity: str
    window: int
    takes_missing: bool
    int8: bool
    model: dict[str, Any]

    @classmethod
    def of(cls, model: Model, int8: bool = False) -> Self:
        """Return what the file of a model states.

        Raises:
            ModelError: the model cannot be evaluated by one graph of windows of a fixed size.
        """
        sampler = model.sampler
        window = sampler.window if isinstance(sampler, WindowSampler) else None
        if window is None:
            raise ModelError(
                f"an ONNX file has windows of a fixed size, but the sampler "
                f"`{sampler.config.name}` samples whole recordings: choose `multidiffusion`"
            )
        if sampler.guides:
            raise ModelError(
                f"the sampler `{sampler.config.name}` needs gradients of the network, which an "
                "ONNX file does not have; use the backend torch"
            )
        config = model.config.model_dump(mode="json")
        return cls(_identity(model), window, _takes_missing(model), int8, config)

    def digest(self) -> str:
        """Return a digest of everything that the content of the file depends on."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:32]

    def as_json(self) -> str:
        """Return the value of the metadata."""
        return json.dumps(asdict(self))


class OnnxRuntime:
    """Evaluates the denoiser of a model by ONNX Runtime, on the CPU in 32-bit floats.

    Args:
        path: a file that :func:`a2sb_core.models.onnx_export.export_onnx` wrote.

    Raises:
        ModelError: ONNX Runtime is not installed, or the file is missing, damaged or foreign.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"the ONNX backend {NEEDED}") from error
        self.path = Path(path)
        if not self.path.is_file():
            raise ModelError(f"there is no file {self.path}; `a2sb export MODEL -o FILE` makes one")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised too
        try:
            self.session = onnxruntime.InferenceSession(
                self.path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the package has one class for each kind of error
            raise ModelError(f"{self.path} cannot be loaded by ONNX Runtime: {error}") from error
        stated = self.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if stated is None:
            raise ModelError(f"{self.path} was not written by `a2sb export`, which must make it")
        try:
            self.about = TypeAdapter(OnnxAbout).validate_json(stated)
        except ValidationError as error:
            raise ModelError(
                f"{self.path} was written by another version of a2sb; export the model again"
            ) from error

    @property
    def name(self) -> str:
        """Name of the backend, ``onnx`` or ``onnx-int8``."""
        return "onnx-int8" if self.about.int8 else "onnx"

    @property
    def bytes(self) -> int:
        """Size of the file and of its weights in bytes."""
        return file_bytes(self.path)

    def check(self, model: Model) -> None:
        """Check that the file is that of a model.

        Raises:
            ModelError: it was exported from another model, or from another state of this one.
        """
        wanted = OnnxAbout.of(model)
        if (self.about.identity, self.about.window) != (wanted.identity, wanted.window):
            raise ModelError(
                f"{self.path} was exported from another model, or before this one was changed; "
                "export this model with `a2sb export --overwrite`, or remove the file"
            )

    def denoiser(self, conditioning: Tensor) -> Denoiser:
        """Return the denoiser for items with one known damage.

        Args:
            conditioning: the damage as :meth:`Model.conditioning` returns it, (1, 2 K).
        """

        def denoise(state: State) -> Tensor:
            inputs = {"xt": state.xt.float(), "t": state.t.float(), "x1": state.x1.float()}
            if self.about.takes_missing:
                assert state.missing is not None
                inputs["missing"] = state.missing.expand(len(state.xt), 1, *state.xt.shape[2:])
            if conditioning.shape[1]:
                inputs["conditioning"] = conditioning.expand(len(state.xt), -1)
            return self.run(inputs).to(state.xt)

        return denoise

    def run(self, inputs: dict[str, Tensor]) -> Tensor:
        """Evaluate the graph; return x0_hat (B, ch, F, W).

        Raises:
            MemoryError: memory ran out.
            ModelError: the evaluation failed for another reason.
        """
        arrays = {name: value.detach().cpu().numpy() for name, value in inputs.items()}
        try:
            (x0,) = self.session.run(["x0"], arrays)
        except Exception as error:
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise MemoryError(str(error)) from error
            raise ModelError(f"{self.path} cannot be evaluated: {error}") from error
        return torch.from_numpy(x0)


def weights_path(path: Path) -> Path:
    """Return the name of the second file of a large model."""
    return path.with_name(f"{path.name}.data")


def file_bytes(path: Path) -> int:
    """Return the size of a file and of its weights in bytes."""
    return sum(file.stat().st_size for file in (path, weights_path(path)) if file.is_file())


def _identity(model: Model) -> str:
    """Return the digest of the weights and of the configuration of a denoiser."""
    config = model.config
    parts = (config.representation, config.bridge, config.prediction, config.backbone)
    texts = [part.model_dump_json() for part in parts] + list(config.condition_on)
    digest = hashlib.sha256("\n".join(texts).encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _takes_missing(model: Model) -> bool:
    """Return whether the damage of a model is a missing region.

    Raises:
        ModelError: that depends on the task.
    """
    corruption = model.corruption
    kinds = {
        task: isinstance(corruption.for_task(task), MaskCorruption) for task in corruption.tasks()
    }
    if len(set(kinds.values())) > 1:
        known = ", ".join(task for task, is_masked in kinds.items() if is_masked)
        others = ", ".join(task for task, is_masked in kinds.items() if not is_masked)
        raise ModelError(
            f"an ONNX file serves either tasks that fill a missing region ({known}) or tasks that "
            f"may change everything ({others}), but this model has both; use the backend torch"
        )
    return all(kinds.values())
