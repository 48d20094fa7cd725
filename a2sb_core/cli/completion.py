"""Shell completion: names of tasks, models and components, without importing torch.

If there are no names, the shell completes files.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import typer

from a2sb_core.config.defaults import DEFAULT_MODEL

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
YAML_SUFFIXES = (".yaml", ".yml")

Completions = list[tuple[str, str]]
"""Words and their descriptions, which some shells show."""


def devices(incomplete: str) -> Completions:
    """Complete a device."""
    return _beginning(((name, "") for name in DEVICES), incomplete)


def precisions(incomplete: str) -> Completions:
    """Complete a precision."""
    return _beginning(((name, "") for name in PRECISIONS), incomplete)


def models(incomplete: str) -> Completions:
    """Complete a registered model."""
    return _beginning(_registered("model"), incomplete)


def tasks(ctx: typer.Context, incomplete: str) -> Completions:
    """Complete a task of the models that the command names, or of the default one."""
    named = ctx.params.get("model") or DEFAULT_MODEL
    models = [named] if isinstance(named, str) else named
    return _beginning(_quietly(lambda: chain.from_iterable(map(_tasks_of, models))), incomplete)


def kinds(incomplete: str) -> Completions:
    """Complete a kind of component."""
    from a2sb_core.plugins import KINDS

    return _beginning(((kind, "") for kind in KINDS), incomplete)


def every_kind(incomplete: str) -> Completions:
    """Complete a kind of component or resource."""
    from a2sb_core.plugins import RESOURCE_KINDS

    more = ((kind, "") for kind in RESOURCE_KINDS)
    return kinds(incomplete) + _beginning(more, incomplete)


def component_names(incomplete: str) -> Completions:
    """Complete a kind, or the name of a component or resource."""
    return every_kind(incomplete) + _beginning(_registered(), incomplete)


def configurations(incomplete: str) -> Completions:
    """Complete a preset, or a YAML file."""
    folder = Path(incomplete) if incomplete.endswith(("/", "\\")) else Path(incomplete).parent
    files = sorted(folder.glob("*.y*ml")) if folder.is_dir() else []
    offered = [(str(file), "") for file in files if file.suffix in YAML_SUFFIXES]
    return _beginning([*_registered("preset"), *offered], incomplete)


def distributions(incomplete: str) -> Completions:
    """Complete an installed distribution that adds components."""

    def found() -> Iterator[tuple[str, str]]:
        from a2sb_core.plugins import default_registry

        names = {entry.distribution for entry in default_registry().entries() if not entry.builtin}
        return ((name, "") for name in sorted(names))

    return _beginning(_quietly(found), incomplete)


def protocols(incomplete: str) -> Completions:
    """Complete the last of a list of evaluation protocols with the typical ones."""

    def found() -> Iterator[tuple[str, str]]:
        from a2sb_core.plugins import default_registry

        return ((name, "") for name in default_registry().typical("protocol", builtin=False))

    return _last(_quietly(found), incomplete)


def systems(incomplete: str) -> Completions:
    """Complete the last of a list of models and restorers."""
    return _last([*_registered("model"), *_registered("restorer")], incomplete)


def metrics(incomplete: str) -> Completions:
    """Complete the last of a list of metrics."""
    return _last(_registered("metric"), incomplete)


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> Completions:
    return [(name, summary) for name, summary in offered if name.startswith(incomplete)]


def _last(offered: Iterable[tuple[str, str]], incomplete: str) -> Completions:
    """Complete the text after the last comma; names before it are not offered again."""
    before, comma, rest = incomplete.rpartition(",")
    left = ((name, summary) for name, summary in offered if name not in before.split(","))
    return [(before + comma + name, summary) for name, summary in _beginning(left, rest)]


def _registered(kind: str | None = None) -> Completions:
    def found() -> Iterator[tuple[str, str]]:
        from a2sb_core.plugins import default_registry

        registry = default_registry()
        return ((registry.shortest(entry), entry.summary) for entry in registry.entries(kind))

    return _quietly(found)


def _tasks_of(model: str) -> Iterator[tuple[str, str]]:
    """Read the tasks of a model from its folder."""
    from a2sb_core.plugins import default_registry

    folder = Path(model)
    if not folder.is_dir():
        folder = Path(str(default_registry().resolve("model", model)))
    config: Any
    if (folder / "config.json").is_file():
        config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    else:
        import yaml

        config = yaml.safe_load((folder / "source.yaml").read_text(encoding="utf8"))
    return ((str(task), "") for task in config["tasks"])


def _quietly(find: Callable[[], Iterable[tuple[str, str]]]) -> Completions:
    """Return the completions, or none after an error, which would garble the prompt."""
    with contextlib.suppress(Exception):
        return list(find())
    return []
