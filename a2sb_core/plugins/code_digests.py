"""Digests of the code of installed plugins: they decide whether earlier results are still valid."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any

from a2sb_core.common.files import file_hash
from a2sb_core.errors import PluginError
from a2sb_core.plugins.component_config import find_components
from a2sb_core.plugins.discovery import default_registry
from a2sb_core.plugins.registry import KINDS, Entry, Registry

CODE = tuple(all_suffixes())
"""Suffixes of Python files and of extension modules."""


def plugin_code(*values: Any) -> dict[str, str]:
    """Return digests of the code behind the components of configurations, and behind entries.

    A digest covers all Python files and extension modules of the packages to which the entries of a
    distribution refer, as they were when this process first asked for it, since a process goes on
    with the code that it has loaded. Built-in components have no digest.

    Returns:
        Digests by the name of the distribution.
    """
    names = {entry.distribution for value in values for entry in _entries(value)}
    known = _known(default_registry())
    return {name: known.setdefault(name, _hash(name)) for name in sorted(names)}


def with_code(identity: Mapping[str, Any], *values: Any) -> dict[str, Any]:
    """Return what identifies a result, with a field ``code`` if the code of plugins matters to it.

    Args:
        identity: the other fields.
        values: see :func:`plugin_code`.
    """
    code = plugin_code(*values)
    return {**identity, **({"code": code} if code else {})}


def check_plugin_code() -> None:
    """Check that the code behind all digests of this process is still the same.

    Raises:
        PluginError: the code of a plugin has changed.
    """
    known = _known(default_registry())
    changed = [name for name, digest in known.items() if _hash(name) != digest]
    if changed:
        raise PluginError(
            f"the code of {', '.join(changed)} changed during the work, which began with the "
            "earlier code; run the command again to do it with the new code. Results of the "
            "earlier code are kept, but they do not count as results of the new code"
        )


@cache
def _known(registry: Registry) -> dict[str, str]:
    """Return the digests that were computed for the plugins of a registry."""
    return {}


def _entries(value: Any) -> Iterator[Entry]:
    """Yield the entries that are not built in: the value itself, or those of its components."""
    if isinstance(value, Entry):
        yield from () if value.builtin else (value,)
        return
    for _, part in find_components(value):
        try:
            yield from _entries(default_registry().entry(part.component.kind, part.name))
        except PluginError:
            continue  # a class that is not registered


def _hash(distribution: str) -> str:
    targets = {
        entry.target.partition(":")[0].partition(".")[0]
        for entry in default_registry().entries()
        if entry.distribution == distribution and entry.kind in KINDS
    }
    digest = hashlib.sha256()
    for package in sorted(targets):
        for path, name in _code_files(package):
            digest.update(f"{name}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()[:20]


def _code_files(package: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of a module or package, and their names in it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for path in sorted(folder.rglob("*")):
            if path.name.endswith(CODE) and "__pycache__" not in path.parts and path.is_file():
                yield path, f"{package}/{path.relative_to(folder).as_posix()}"
    if spec and spec.origin and not spec.submodule_search_locations:
        yield Path(spec.origin), package
