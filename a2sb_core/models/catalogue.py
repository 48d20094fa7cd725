"""The list of available models: shipped, from plugins, in the hub's cache, to download."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a2sb_core.common.json_files import read_json
from a2sb_core.errors import A2SBError, ModelError
from a2sb_core.models import hub, published
from a2sb_core.models.card import Card, read_card
from a2sb_core.models.hub import MODEL_FILES, HubOptions
from a2sb_core.plugins import Entry, Registry, default_registry

CONFIG_NAME, WEIGHTS_NAME = MODEL_FILES


@dataclass(frozen=True)
class Facts:
    """Facts about a model that are known without loading it; ``bytes``: size of the weights."""

    tasks: tuple[str, ...]
    parameters: int | None
    bytes: int | None


@dataclass(frozen=True)
class Listed:
    """A model and its place.

    Attributes:
        name: value for ``--model``; a cached revision other than the main one is used by its
            folder instead.
        state: ``shipped``, ``installed`` (with a plugin), ``cached``, ``downloaded`` (and
            converted on first use), ``converted``, ``to download`` or ``broken``.
        folder: folder of its files; None before the download.
        source: id and revision on the hub.
        problem: the error of a broken model.
    """

    name: str
    state: str
    facts: Facts = field(default_factory=lambda: Facts((), None, None))
    card: Card = field(default_factory=Card)
    folder: Path | None = None
    source: str | None = None
    summary: str = ""
    problem: str = ""


def list_models(cache_dir: str | Path | None = None) -> list[Listed]:
    """List registered models, then those in the hub's cache; the hub itself is not asked."""
    options = HubOptions(cache_dir=cache_dir, local_files_only=True)
    registry = default_registry()
    listed = []
    for entry in registry.entries("model"):
        try:
            listed.append(_registered(registry, entry, options))
        except A2SBError as error:
            name = registry.shortest(entry)
            listed.append(Listed(name, "broken", summary=entry.summary, problem=str(error)))
    return listed + sorted(_cached(options), key=lambda model: model.name)


def read_facts(folder: Path) -> Facts:
    """Read the facts about a model from its folder, without torch.

    Raises:
        ModelError: the folder is no model folder, or its weights are damaged.
    """
    try:
        tree = read_json(folder / CONFIG_NAME)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} is no model folder: {CONFIG_NAME}: {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict):
        raise ModelError(f"{folder} is no model folder: {CONFIG_NAME} describes no model")
    weights = folder / WEIGHTS_NAME
    stated = tree.get("tasks")
    tasks = tuple(map(str, stated)) if isinstance(stated, list) and stated else _tasks(folder)
    return Facts(tasks, count_parameters(weights), weights.stat().st_size)


def count_parameters(weights: Path) -> int:
    """Count the values of a safetensors file, by its header.

    Raises:
        ModelError: the file cannot be read or is truncated.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights} cannot be read: {error}") from error


def _tasks(folder: Path) -> tuple[str, ...]:
    """Ask the corruption for the tasks, which older folders do not list."""
    from a2sb_core.models.folder import read_config

    corruption: Any = read_config(folder).corruption.build()
    return tuple(corruption.tasks())


def _registered(registry: Registry, entry: Entry, options: HubOptions) -> Listed:
    name = registry.shortest(entry)
    folder = Path(str(registry.resolve("model", entry.qualified)))
    source, card = published.read_source(folder), read_card(folder)
    if source is None:
        state = "shipped" if entry.builtin else "installed"
        return Listed(name, state, read_facts(folder), card, folder, summary=entry.summary)
    facts = Facts(source.tasks, source.parameters, source.bytes)
    where = f"{source.repo}@{source.revision}"
    options = HubOptions(source.revision, options.cache_dir, local_files_only=True)
    found, state = hub.find_cached(source.repo, source.files, options), "to download"
    if found is not None:
        state = "downloaded" if source.converter else "cached"
        converted = published.converted_folder(folder.name, found)
        if source.converter and converted.is_dir():
            found, state = converted, "converted"
    return Listed(name, state, facts, card, found, where, entry.summary)


def _cached(options: HubOptions) -> Iterator[Listed]:
    """Find the models of this framework in the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(hub.cache_folder(options)).repos
    except (CacheNotFound, ValueError):
        return
    for repo in repos:
        for revision in repo.revisions if repo.repo_type == "model" else ():
            folder = Path(revision.snapshot_path)
            if not _is_ours(folder):
                continue
            refs = sorted(revision.refs)
            name = repo.repo_id if "main" in refs else f"{repo.repo_id}@{revision.commit_hash[:8]}"
            source = f"{repo.repo_id}@{', '.join(refs) or revision.commit_hash}"
            try:
                yield Listed(name, "cached", read_facts(folder), read_card(folder), folder, source)
            except A2SBError as error:
                yield Listed(name, "broken", folder=folder, source=source, problem=str(error))


def _is_ours(folder: Path) -> bool:
    """Whether a folder of the cache holds a model of this framework."""
    try:
        tree = read_json(folder / CONFIG_NAME)
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and "a2sb_version" in tree and (folder / WEIGHTS_NAME).is_file()
