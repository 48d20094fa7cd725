"""Loading of models by registered name, folder or hub id."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from a2sb_core.config.loading import load_tree, validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.tree import Node, show
from a2sb_core.errors import ConfigError
from a2sb_core.models.folder import WEIGHTS_NAME, load_folder
from a2sb_core.models.locating import find_model
from a2sb_core.models.model import Model
from a2sb_core.models.weights import load_weights

WEIGHTS = "weights"
"""Key of a configuration that names a file of weights or a model folder."""


def load_model(source: str | Path, **hub: Any) -> Model:
    """Load a model by registered name, folder, or id on the Hugging Face hub.

    ``hub`` are the fields of :class:`a2sb_core.models.hub.HubOptions`.

    Raises:
        ModelError: no model is found, it has another format version, or its weights do not fit.
    """
    return load_folder(find_model(source, **hub))


def build_model(
    config: ModelConfig | Mapping[str, Any] | str | Path, weights: str | Path | None = None
) -> Model:
    """Build the model of a configuration, in evaluation mode.

    Args:
        config: a configuration, its fields, a YAML file, or the name of a preset. Fields and files
            may contain ``weights``, whose path is relative to the file.
        weights: a file ``model.safetensors`` or a model folder. Without weights, the network has
            the same random values each time.

    Raises:
        ConfigError: the configuration is invalid.
        ModelError: the weights cannot be read, or do not fit the configuration.
    """
    if not isinstance(config, ModelConfig):
        config, stated = _read(config)
        weights = weights or stated
    if weights is not None:
        path = Path(weights)
        return load_weights(config, path / WEIGHTS_NAME if path.is_dir() else path).eval()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return Model(config).eval()


def _read(source: Mapping[str, Any] | str | Path) -> tuple[ModelConfig, Path | None]:
    """Read a configuration, and the weights that it states."""
    if isinstance(source, Mapping):
        tree, label, folder = Node.of(dict(source)), "the configuration", Path()
    else:
        tree, label, folder = load_tree(source), str(source), Path(source).parent
    fields = dict(tree.value)
    stated = fields.pop(WEIGHTS, None)
    if stated is None:
        return validate(ModelConfig, Node(fields, tree.origin), label), None
    if not isinstance(stated.value, str | Path):
        raise ConfigError(f"{label}: {WEIGHTS}: expected a path; got {show(stated.plain())}")
    return validate(ModelConfig, Node(fields, tree.origin), label), folder / stated.value
