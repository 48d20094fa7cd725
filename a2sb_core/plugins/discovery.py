"""Discovery of built-in and installed plugins; a broken plugin does not affect the others."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

import pluggy

from a2sb_core.common.packages import version_or_unknown
from a2sb_core.common.text import printable
from a2sb_core.errors import PluginError
from a2sb_core.plugins import hooks as hookspecs
from a2sb_core.plugins.damage_options import DamageOption
from a2sb_core.plugins.foreign_code import describe, foreign_code
from a2sb_core.plugins.registry import (
    ApiVersionError,
    Entry,
    Failure,
    HookError,
    Registrar,
    Registry,
)

BUILTIN_PLUGINS = ("a2sb_tasks.plugin", "a2sb_backbones.plugin")
GROUP = "a2sb"

_Candidate = tuple[Registrar, Callable[[], Any]]
"""The empty registrar of a plugin, and a function that loads the plugin."""


def discover() -> Registry:
    """Load the built-in plugins and those installed in the entry-point group ``a2sb``.

    If ``A2SB_PLUGINS`` is set, it lists the distributions to load, or single entry points of them
    as ``distribution:entry``, separated by commas; built-in plugins are always loaded. With
    ``A2SB_STRICT_PLUGINS=1``, the first failure of a plugin is raised.

    Raises:
        PluginError: a built-in plugin is broken.
    """
    entries: list[Entry] = []
    failures: list[Failure] = []
    options: dict[str, DamageOption] = {}
    for registrar, load in (*_builtin(), *_installed(failures)):
        try:
            with foreign_code("" if registrar.builtin else registrar.origin):
                _collect(load(), registrar)
        except Exception as error:
            reason = str(error) if isinstance(error, PluginError) else describe(error)
            failure = registrar.failure(reason, error)
            if registrar.builtin:
                raise failure.error() from error
            failures.append(failure)
        else:
            entries += registrar.entries
            for option in registrar.options:
                if option.flag in options:
                    failures.append(registrar.failure(f"the option `{option.flag}` is taken"))
                options.setdefault(option.flag, option)
    registry = Registry(entries, failures, options.values())
    if registry.failures and os.environ.get("A2SB_STRICT_PLUGINS") == "1":
        raise registry.failures[0].error()
    return registry


@cache
def default_registry() -> Registry:
    """Return the result of :func:`discover`, which runs at the first call only."""
    return discover()


def reset() -> None:
    """Clear the default registry, so that its next use discovers plugins again."""
    default_registry.cache_clear()


def _collect(plugin: Any, registrar: Registrar) -> None:
    """Call the hook of one plugin, in a separate plugin manager so that others are unaffected."""
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
    own = version_or_unknown()
    for module in BUILTIN_PLUGINS:
        registrar = Registrar(module.partition(".")[0], "a2sb", own, builtin=True)
        yield registrar, partial(importlib.import_module, module)


def _installed(failures: list[Failure]) -> Iterator[_Candidate]:
    """Yield the allowed entry points, and add those that cannot be read to ``failures``."""
    listed = os.environ.get("A2SB_PLUGINS")
    allowed = {_canonical(name) for name in (listed or "").split(",") if name.strip()}
    seen: set[str] = set()
    known: set[str] = set()
    for distribution in distributions():
        points = _entry_points(distribution, failures)
        name = _canonical(_metadata(distribution, "name")) if points else ""
        # Python imports the first distribution of a name on the path and ignores later ones.
        if not points or name in seen:
            continue
        seen.add(name)
        for point in points:
            names = {name, f"{name}:{_canonical(point.name)}"}
            known |= names
            if listed is None or names & allowed:
                yield Registrar(point.name, name, _metadata(distribution, "version")), point.load
    for name in sorted(allowed - known):
        reason = "`A2SB_PLUGINS` lists it, but it is not installed"
        spelled = sorted(one for one in known if one.partition(":")[2] == name)
        if spelled:
            reason += f" as a distribution; write its entry point as `{'` or `'.join(spelled)}`"
        failures.append(Failure(name, "no distribution", "", reason))


def _entry_points(distribution: Distribution, failures: list[Failure]) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points.select(group=GROUP))
    except Exception as error:  # a malformed file must not end the discovery of other plugins
        if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            name, version = (_metadata(distribution, key) for key in ("name", "version"))
            reason = f"malformed entry_points.txt: {describe(error)}"
            failures.append(Failure(name, name, version, reason, error))
        return []


def _metadata(distribution: Distribution, key: str) -> str:
    return printable(str(distribution.metadata.json.get(key, "unknown")))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
