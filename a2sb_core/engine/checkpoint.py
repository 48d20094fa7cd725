"""Model folders: config.json and model.safetensors."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from a2sb_core.config.component import ComponentConfig
from a2sb_core.config.load import validate
from a2sb_core.config.run import ModelConfig
from a2sb_core.engine.model import Model
from a2sb_core.errors import ModelError, PluginError
from a2sb_core.plugins import default_registry

FORMAT_VERSION = 1
CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"


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
        ModelError: the folder exists and ``overwrite`` is not set.
    """
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists already; choose another folder or allow overwriting")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        staging.chmod(0o755)
        (staging / CONFIG_NAME).write_text(json.dumps(describe(model.config), indent=2) + "\n")
        save_file(_tensors(model, half), staging / WEIGHTS_NAME)
        (staging / WEIGHTS_NAME).chmod(0o644)
        for name, text in (notes or {}).items():
            (staging / name).write_text(text)
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
    return validate(ModelConfig, tree.get("model"), source=str(path))


def find_model(source: str | Path, **hub: Any) -> Path:
    """Return the folder of a model: an existing folder, a registered name, or a hub download."""
    if Path(source).is_dir():
        return Path(source)
    known = [entry.name for entry in default_registry().entries("model")]
    if str(source) in known or ":" in str(source):
        return Path(str(default_registry().resolve("model", str(source))))
    if str(source).count("/") == 1 and not str(source).startswith((".", "/", "~")):
        return _download(str(source), **hub)
    raise ModelError(
        f"there is no model `{source}`: it is neither a folder nor a registered model "
        f"({', '.join(known) or 'none'}) nor a hub id such as owner/name"
    )


def _download(repo_id: str, **hub: Any) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(repo_id, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME, "*.md"], **hub)
        )
    except Exception as error:  # the hub raises many kinds: network, authentication, not found
        raise ModelError(
            f"`{repo_id}` is no folder here, and could not be had from the hub: {error}"
        ) from error


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
    """Distribution and version of the plugin behind each part."""
    origins = {}
    for kind in type(config).model_fields:
        part = getattr(config, kind)
        if isinstance(part, ComponentConfig):
            try:
                entry = default_registry().entry(kind, part.name)
                origins[kind] = f"{entry.distribution} {entry.version}"
            except PluginError:
                origins[kind] = "not registered"
    return origins


def _own_version() -> str:
    try:
        return version("a2sb")
    except PackageNotFoundError:
        return "unknown"
