"""Model folders: config.json and model.safetensors."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from a2sb_core.audio import file_names as names
from a2sb_core.common.files import staging_folder
from a2sb_core.common.json_files import read_json
from a2sb_core.common.packages import PROJECT, UNKNOWN, installed_version, version_or_unknown
from a2sb_core.common.text import printable
from a2sb_core.config.loading import validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ConfigError, ModelError, PluginError
from a2sb_core.models.hub import MODEL_FILES
from a2sb_core.models.model import Model
from a2sb_core.models.weights import load_weights
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.code_digests import with_code
from a2sb_core.plugins.component_config import find_components

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
MOST_PARTS = 100
"""Largest number of parts whose origin is compared."""
CONFIG_NAME, WEIGHTS_NAME = MODEL_FILES


def save_model(
    model: Model,
    folder: Path | str,
    *,
    overwrite: bool = False,
    half: bool = False,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write ``config.json`` and ``model.safetensors``.

    The folder appears under its name only when it is complete.

    Args:
        model: the model.
        folder: the folder to make.
        overwrite: replace an existing folder.
        half: store the network's weights in 16 bits; they are still computed with in 32 bits.
        notes: further text files of the folder, by name.

    Raises:
        ModelError: the folder exists and ``overwrite`` is not set, or its name is not allowed.
    """
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists already; choose another folder or allow overwriting")
    if fault := names.fault(folder.name):
        raise ModelError(f"the name of {folder} {fault}; choose another one")
    with staging_folder(folder) as staging:
        described = {**describe(model.config), "tasks": model.corruption.tasks()}
        (staging / CONFIG_NAME).write_text(json.dumps(described, indent=2) + "\n", encoding="utf8")
        save_file(_tensors(model, half), staging / WEIGHTS_NAME)
        (staging / WEIGHTS_NAME).chmod(0o644)
        for name, text in (notes or {}).items():
            (staging / name).write_text(text, encoding="utf8")
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    return folder


def _tensors(model: Model, half: bool) -> dict[str, torch.Tensor]:
    """Return the content of ``model.safetensors``."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if half:
        tensors = {k: v.half() if k.startswith("backbone.") else v for k, v in tensors.items()}
    return tensors


def describe(config: ModelConfig) -> dict[str, Any]:
    """Return the content of ``config.json``: the composition, and the origin of each part.

    If components of plugins are among the parts, ``code`` has digests of their code.
    """
    described = {
        "format_version": FORMAT_VERSION,
        "a2sb_version": version_or_unknown(),
        "parts": _origins(config),
        "model": config.model_dump(mode="json"),
    }
    return with_code(described, config)


def load_folder(folder: Path) -> Model:
    """Load the model of a local folder, in evaluation mode.

    A part of another plugin, or of another version of its plugin, than at the time of writing is
    reported to the log.

    Raises:
        ModelError: the folder has another format version, or the weights do not fit.
    """
    tree = _read_tree(folder)
    config = _validated(tree, folder)
    for line in _foreign(tree.get("parts")):
        log.warning("%s: %s", folder, line)
    return load_weights(config, folder / WEIGHTS_NAME).eval()


def read_config(folder: Path) -> ModelConfig:
    """Read and check ``config.json`` of a model folder.

    Raises:
        ModelError: the file is missing, damaged or of another format version.
        ConfigError: the composition is not valid here.
    """
    return _validated(_read_tree(folder), folder)


def _read_tree(folder: Path) -> dict[str, Any]:
    """Read ``config.json``, and check its format version."""
    path = folder / CONFIG_NAME
    try:
        read = read_json(path)
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no model folder: it has no {CONFIG_NAME}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from error
    tree: dict[str, Any] = read if isinstance(read, dict) else {}
    found = tree.get("format_version")
    if isinstance(found, bool) or found != FORMAT_VERSION:
        writer = _stated(tree.get("a2sb_version", UNKNOWN))
        raise ModelError(
            f"{path} has format_version {_stated(found)}, but this version reads "
            f"{FORMAT_VERSION}; install the version of a2sb that wrote it ({writer})"
        )
    return tree


def _validated(tree: dict[str, Any], folder: Path) -> ModelConfig:
    try:
        return validate(ModelConfig, tree.get("model"), source=str(folder / CONFIG_NAME))
    except ConfigError as error:
        lines = (f"- {line}" for line in _foreign(tree.get("parts"), own=True))
        raise ConfigError("\n".join([str(error), *lines])) from error


def _foreign(parts: Any, own: bool = False) -> Iterator[str]:
    """Report parts that came from a distribution that is missing here or has another version.

    Those of this framework are only reported if ``own`` is set.
    """
    for path, stated in islice(parts.items() if isinstance(parts, dict) else (), MOST_PARTS):
        distribution, _, wanted = str(stated).rpartition(" ")
        if distribution in ("", "not") or (distribution == PROJECT and not own):
            continue  # "not registered"
        here = installed_version(distribution)
        origin = f"{_stated(path)} came from {_stated(stated)}"
        if here is None:
            yield (
                f"{origin}, which is not installed. Only this folder states the name: install a "
                "package of this name only if you know and trust it"
            )
        elif here != wanted:
            yield f"{origin}; version {here} is installed, with which it may work differently"


def _stated(value: Any) -> str:
    """Return a value of a folder for messages, in at most a hundred plain characters."""
    return printable(str(value)[:100])


def _origins(config: ModelConfig) -> dict[str, str]:
    """Return distribution and version of the plugin of each part, and of the parts of parts."""
    origins = {}
    for path, part in find_components(config):
        try:
            entry = default_registry().entry(part.component.kind, part.name)
            origins[path] = f"{entry.distribution} {entry.version}"
        except PluginError:
            origins[path] = "not registered"
    return origins
