"""Finds the plugins that are built in and installed; one that is broken harms no other."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    distributions,
    version,
)
from typing import Any

import pluggy

from a2sb_core.errors import PluginError
from a2sb_core.plugins import hookspecs
from a2sb_core.plugins.registry import (
    ApiVersionError,
    Entry,
    Failure,
    HookError,
    Registrar,
    Registry,
    describe,
)

BUILTIN_PLUGINS = ("a2sb_tasks.plugin", "a2sb_backbones.plugin")
GROUP = "a2sb"

_Candidate = tuple[Registrar, Callable[[], Any]]
"""An empty registrar that says whose it is, and what loads the plugin."""


def discover() -> Registry:
    """Load the built-in plugins and those installed in the entry-point group ``a2sb``.

    ``A2SB_PLUGINS``, where set, lists the entry points or distributions to load, separated by
    commas; built-ins are always loaded. With ``A2SB_STRICT_PLUGINS=1`` the first failure of any
    plugin is raised.

    Raises:
        PluginError: a built-in plugin is broken.
    """
    entries: list[Entry] = []
    failures: list[Failure] = []
    for registrar, load in (*_builtin(), *_installed(failures)):
        try:
            # What a plugin prints is no part of what a command prints, such as JSON.
            with contextlib.redirect_stdout(sys.stderr):
                _collect(load(), registrar)
        except (Exception, SystemExit) as error:
            reason = str(error) if isinstance(error, PluginError) else describe(error)
            failure = registrar.failure(reason, error)
            if registrar.builtin:
                raise failure.error() from error
            failures.append(failure)
        else:
            entries += registrar.entries
    registry = Registry(entries, failures)
    if registry.failures and os.environ.get("A2SB_STRICT_PLUGINS") == "1":
        raise registry.failures[0].error()
    return registry


@cache
def default_registry() -> Registry:
    """Return what :func:`discover` found when this was first called."""
    return discover()


def reset() -> None:
    """Forget the default registry; the next use looks for plugins again."""
    default_registry.cache_clear()


def _collect(plugin: Any, registrar: Registrar) -> None:
    """Run the hook of one plugin, in a plugin manager of its own so that others are not touched."""
    module = sys.modules.get(getattr(plugin, "__module__", ""))
    made_for = getattr(plugin, "A2SB_API_VERSION", getattr(module, "A2SB_API_VERSION", None))
    if made_for is not None and str(made_for).split(".")[0] != hookspecs.API_VERSION.split(".")[0]:
        raise ApiVersionError(
            f"it is made for version {made_for} of the plugin API; this is {hookspecs.API_VERSION}"
        )
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise HookError(" ".join(str(error).split())) from error
    implementations = manager.hook.a2sb_register.get_hookimpls()
    if not any("registrar" in one.argnames for one in implementations):
        raise HookError("it has no `@hookimpl def a2sb_register(registrar)`")
    manager.hook.a2sb_register(registrar=registrar)


def _builtin() -> Iterator[_Candidate]:
    try:
        own = version("a2sb")
    except PackageNotFoundError:  # a source tree that is not installed
        own = "unknown"
    for module in BUILTIN_PLUGINS:
        registrar = Registrar(module.partition(".")[0], "a2sb", own, builtin=True)
        yield registrar, partial(importlib.import_module, module)


def _installed(failures: list[Failure]) -> Iterator[_Candidate]:
    """Yield the allowed entry points; what can not be read is added to ``failures``."""
    listed = os.environ.get("A2SB_PLUGINS")
    allowed = {_canonical(name) for name in (listed or "").split(",") if name.strip()}
    seen, used = set(), set()
    for distribution in distributions():
        points = _entry_points(distribution, failures)
        name = _canonical(_metadata(distribution, "name")) if points else ""
        # The first on the path is the one that is imported; a second is its shadow.
        if not points or name in seen:
            continue
        seen.add(name)
        for point in points:
            names = {name, _canonical(point.name)}
            used |= names
            if listed is None or names & allowed:
                yield Registrar(point.name, name, _metadata(distribution, "version")), point.load
    failures += [
        Failure(name, "no distribution", "", "`A2SB_PLUGINS` lists it; it is not installed")
        for name in sorted(allowed - used)
    ]


def _entry_points(distribution: Distribution, failures: list[Failure]) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points.select(group=GROUP))
    except Exception as error:  # one malformed file would end the search for all
        if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            name, version = (_metadata(distribution, key) for key in ("name", "version"))
            reason = f"malformed entry_points.txt: {describe(error)}"
            failures.append(Failure(name, name, version, reason, error))
        return []


def _metadata(distribution: Distribution, key: str) -> str:
    return str(distribution.metadata.json.get(key, "unknown"))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
