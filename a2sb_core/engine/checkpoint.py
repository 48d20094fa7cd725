"""Model folders: config.json and model.safetensors."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from a2sb_core.audio import names
from a2sb_core.config.component import ComponentConfig
from a2sb_core.config.load import validate
from a2sb_core.config.run import ModelConfig
from a2sb_core.engine.finding import find_model
from a2sb_core.engine.hub import MODEL_FILES
from a2sb_core.engine.model import Model
from a2sb_core.errors import ConfigError, ModelError, PluginError
from a2sb_core.plugins import default_registry

FORMAT_VERSION = 1
CONFIG_NAME, WEIGHTS_NAME = MODEL_FILES


def save_model(
    model: Model, folder: Path | str, *, overwrite: bool = False, half: bool = False,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write ``config.json`` and ``model.safetensors``; a folder that is there stays unless told.

    Args:
        model: the model.
        folder: the folder to make.
        overwrite: replace an existing folder.
        half: store the network's weights in 16 bits; they are computed with in 32 all the same.
        notes: further text files of the folder, by name.

    Raises:
        ModelError: the folder exists and ``overwrite`` is not set, or can not have this name.
    """
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists already; choose another folder or allow overwriting")
    if fault := names.fault(folder.name):
        raise ModelError(f"the name of {folder} {fault}; choose another one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        staging.chmod(0o755)
        described = {**describe(model.config), "tasks": model.corruption.tasks()}
        (staging / CONFIG_NAME).write_text(json.dumps(described, indent=2) + "\n", encoding="utf8")
        save_file(_tensors(model, half), staging / WEIGHTS_NAME)
        (staging / WEIGHTS_NAME).chmod(0o644)
        for name, text in (notes or {}).items():
            (staging / name).write_text(text, encoding="utf8")
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _tensors(model: Model, half: bool) -> dict[str, torch.Tensor]:
    """Return what ``model.safetensors`` holds."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if half:
        tensors = {k: v.half() if k.startswith("backbone.") else v for k, v in tensors.items()}
    return tensors


def describe(config: ModelConfig) -> dict[str, Any]:
    """Return what ``config.json`` holds: the composition, and where each of its parts came from."""
    return {
        "format_version": FORMAT_VERSION,
        "a2sb_version": _own_version(),
        "parts": _origins(config),
        "model": config.model_dump(mode="json"),
    }


def load_model(source: str | Path, **hub: Any) -> Model:
    """Load a model by registered name, folder, or id on the Hugging Face hub.

    ``hub`` are the fields of :class:`a2sb_core.engine.hub.HubOptions`.

    Raises:
        ModelError: nothing is found, the format is of another version, or weights do not fit.
    """
    folder = find_model(source, **hub)
    config = read_config(folder)
    model = Model(config)
    try:
        tensors = load_file(folder / WEIGHTS_NAME)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder / WEIGHTS_NAME} can not be read: {error}") from error
    _check_fit(tensors, model, folder)
    model.load_state_dict(tensors)
    return model.eval()


def read_config(folder: Path) -> ModelConfig:
    """Read and check ``config.json`` of a model folder."""
    path = folder / CONFIG_NAME
    try:
        tree = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no model folder: it has no {CONFIG_NAME}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from error
    found = tree.get("format_version") if isinstance(tree, dict) else None
    if found != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format_version {found!r}, this version reads {FORMAT_VERSION}; "
            "install the version of a2sb that wrote it "
            f"({tree.get('a2sb_version', 'unknown') if isinstance(tree, dict) else 'unknown'})"
        )
    try:
        return validate(ModelConfig, tree.get("model"), source=str(path))
    except ConfigError as error:
        raise ConfigError("\n".join([str(error), *_foreign(tree.get("parts"))])) from error


def _foreign(parts: Any) -> Iterator[str]:
    """Tell which parts of a model came from what is not installed here, or in another version."""
    for path, origin in parts.items() if isinstance(parts, dict) else ():
        distribution, _, wanted = str(origin).rpartition(" ")
        if not distribution or distribution == "not":  # "not registered"
            continue
        try:
            here = version(distribution)
        except PackageNotFoundError:
            yield (
                f"- {path} came from {origin}, which is not installed: `pip install "
                f"{distribution}=={wanted}`"
            )
            continue
        if here != wanted:
            yield f"- {path} came from {origin}; here is {here}"


def _check_fit(tensors: dict[str, torch.Tensor], model: Model, folder: Path) -> None:
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    problems = [f"{key} is missing" for key in sorted(wanted.keys() - found.keys())]
    problems += [f"{key} is unknown" for key in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{key} is {found[key]} and should be {wanted[key]}"
        for key in sorted(wanted.keys() & found.keys()) if wanted[key] != found[key]
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelError(
            f"the weights in {folder} do not fit its {CONFIG_NAME}: {'; '.join(problems[:5])}{more}"
        )


def _origins(config: ModelConfig) -> dict[str, str]:
    """Distribution and version of the plugin behind each part, and behind the parts of parts."""
    origins = {}
    for path, part in _components(config, ""):
        try:
            entry = default_registry().entry(part.component.kind, part.name)
            origins[path] = f"{entry.distribution} {entry.version}"
        except PluginError:
            origins[path] = "not registered"
    return origins


def _components(value: Any, path: str) -> Iterator[tuple[str, ComponentConfig]]:
    if isinstance(value, ComponentConfig):
        yield path, value
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, BaseModel):
        pairs = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    for name, inner in pairs:
        yield from _components(inner, f"{path}.{name}".lstrip("."))


def _own_version() -> str:
    try:
        return version("a2sb")
    except PackageNotFoundError:
        return "unknown"
