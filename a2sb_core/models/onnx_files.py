"""Choice of the runtime of a model, and its ONNX files beside it or in a cache."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from a2sb_core.config.defaults import BackendName
from a2sb_core.errors import ModelError
from a2sb_core.models.model import Model
from a2sb_core.models.onnx_runtime import NEEDED, OnnxAbout, OnnxRuntime


def with_backend(model: Model, backend: str, folder: Path | None = None) -> Model:
    """Return a model whose network is evaluated by a backend.

    The file of an ONNX backend is ``model.onnx`` or ``model-int8.onnx`` in the folder of the model.
    If there is none, it is exported into a cache on first use.

    Args:
        model: the model, on the CPU.
        backend: see :data:`BackendName`.
        folder: folder of the model, if it has one.

    Raises:
        ModelError: the backend is unknown, a package is missing, the model cannot be exported, or
            the file beside it is that of another model.
    """
    if backend not in get_args(BackendName):
        raise ModelError(f"there is no backend `{backend}`; use {', '.join(get_args(BackendName))}")
    if backend == "torch":
        return model
    beside = (folder or Path()) / file_name(backend)
    is_beside = folder is not None and beside.is_file()
    runtime = OnnxRuntime(beside if is_beside else _cached(model, backend))
    if runtime.name != backend:
        raise ModelError(
            f"{runtime.path} is a file for the backend {runtime.name}, but its name is that of "
            f"{backend}: rename it to {file_name(runtime.name)}, or remove it"
        )
    return model.evaluated_by(runtime)


def file_name(backend: str) -> str:
    """Return the name of the file of an ONNX backend in a model folder.

    Example:
        >>> file_name("onnx"), file_name("onnx-int8")
        ('model.onnx', 'model-int8.onnx')
    """
    return f"model{backend.removeprefix('onnx')}.onnx"


def _cached(model: Model, backend: str) -> Path:
    """Return the file in the cache, which is made if it is not there."""
    import importlib.util

    from filelock import FileLock
    from huggingface_hub import cached_assets_path

    if importlib.util.find_spec("onnxruntime") is None:  # before the export, which takes time
        raise ModelError(f"the ONNX backend {NEEDED}")
    is_int8 = backend == "onnx-int8"
    identity = OnnxAbout.of(model, is_int8).digest()
    try:
        folder = cached_assets_path("a2sb", namespace="onnx", subfolder=identity)
        target = folder / file_name(backend)
        with FileLock(f"{target}.lock"):
            if not target.is_file():
                from a2sb_core.models.onnx_export import export_onnx

                export_onnx(model, target, int8=is_int8)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the ONNX file of the model cannot be kept in the cache: {error}; set HF_ASSETS_CACHE "
            "to a folder that can be written, or export the file into the folder of the model"
        ) from error
    return target
