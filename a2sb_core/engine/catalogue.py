"""All models there are: shipped, added by plugins, in the hub's cache, and to be downloaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a2sb_core.engine import hub, published
from a2sb_core.engine.cards import Card, Figure, read_card
from a2sb_core.engine.hub import MODEL_FILES, HubOptions
from a2sb_core.errors import A2SBError, ModelError
from a2sb_core.plugins import Entry, Registry, default_registry

CONFIG_NAME, WEIGHTS_NAME = MODEL_FILES


@dataclass(frozen=True)
class Facts:
    """What a model folder says without being loaded; ``bytes`` is the size of the weights."""

    tasks: tuple[str, ...]
    parameters: int | None
    bytes: int | None


@dataclass(frozen=True)
class Listed:
    """A model, and where it is.

    Attributes:
        name: what ``--model`` takes; of a revision of the cache other than the main one, its
            folder does.
        state: ``shipped``, ``installed`` (with a plugin), ``cached``, ``downloaded`` (and
            converted on first use), ``converted``, ``to download`` or ``broken``.
        folder: where its files are; None: nowhere yet.
        source: id and revision on the hub.
        problem: what is wrong with a broken one.
    """

    name: str
    state: str
    facts: Facts = field(default_factory=lambda: Facts((), None, None))
    card: Card = field(default_factory=Card)
    folder: Path | None = None
    source: str | None = None
    summary: str = ""
    problem: str = ""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Its figures."""
        return self.card.figures


def list_models(cache_dir: str | Path | None = None) -> list[Listed]:
    """List registered models, then those of the hub's cache; nothing is asked of the hub."""
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
    """Read what a model folder holds, without torch; older folders do not tell their tasks.

    Raises:
        ModelError: it is no model folder, or its weights are damaged.
    """
    try:
        tree = json.loads((folder / CONFIG_NAME).read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} is no model folder: {CONFIG_NAME}: {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict):
        raise ModelError(f"{folder} is no model folder: {CONFIG_NAME} tells of no model")
    weights = folder / WEIGHTS_NAME
    tasks = tuple(map(str, tree.get("tasks") or ())) or _tasks(folder)
    return Facts(tasks, count_parameters(weights), weights.stat().st_size)


def count_parameters(weights: Path) -> int:
    """Count the values of a safetensors file, by its header.

    Raises:
        ModelError: it can not be read, or is cut short.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights} can not be read: {error}") from error


def _tasks(folder: Path) -> tuple[str, ...]:
    """Ask the corruption of a model that does not tell its tasks."""
    from a2sb_core.engine.checkpoint import read_config

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
    """Whether a folder of the cache holds a model of this framework, and not of another."""
    try:
        tree = json.loads((folder / CONFIG_NAME).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and "a2sb_version" in tree and (folder / WEIGHTS_NAME).is_file()
