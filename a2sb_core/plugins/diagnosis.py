"""Diagnosis of the installed plugins: their problems, and advice for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from a2sb_core.plugins.foreign_code import describe
from a2sb_core.plugins.registry import (
    ApiVersionError,
    BrokenTargetError,
    Entry,
    Failure,
    HookError,
    Registry,
    TakenNameError,
)

SKELETON = "`a2sb plugins new NAME` writes a working example"


@dataclass(frozen=True)
class PluginProblem:
    """A problem of a plugin.

    Attributes:
        plugin: entry point of the plugin.
        distribution: name of the installed distribution.
        version: version of the distribution.
        what: description of the problem.
        advice: recommended action.
        is_broken: whether something does not work; False if only a name is ambiguous.
    """

    plugin: str
    distribution: str
    version: str
    what: str
    advice: str
    is_broken: bool = True


def examine(registry: Registry) -> list[PluginProblem]:
    """Examine every plugin that is not built in, and import everything that it adds."""
    strangers = [entry for entry in registry.entries() if not entry.builtin]
    findings = [_failed(failure) for failure in registry.failures]
    for entry in strangers:
        findings += _target(registry, entry)
    return findings + list(_shared(strangers))


def _failed(failure: Failure) -> PluginProblem:
    return PluginProblem(
        failure.plugin, failure.distribution, failure.version, failure.reason, _advice(failure)
    )


def _advice(failure: Failure) -> str:
    """Return the advice for a failure, which depends on its exception."""
    error, distribution = failure.exception, failure.distribution
    if isinstance(error, ApiVersionError):
        return (
            f"install a version of {distribution} for this plugin API "
            f"(`pip install --upgrade {distribution}`), or a version of a2sb that supports it"
        )
    if isinstance(error, TakenNameError):
        return f"write `{distribution}:NAME` in configurations; its author may choose another name"
    if isinstance(error, HookError):
        return f"its author must define `@hookimpl def a2sb_register(registrar)`; {SKELETON}"
    if isinstance(error, ImportError):
        return (
            f"`pip install --force-reinstall {distribution}` installs its declared dependencies; "
            "if that does not help, report the problem to its author"
        )
    if error is None:
        return "install it, or remove it from A2SB_PLUGINS"
    return (
        "report the output of `A2SB_STRICT_PLUGINS=1 A2SB_DEBUG=1 a2sb plugins list` to its "
        f"author; `pip uninstall {distribution}` removes the plugin"
    )


def _target(registry: Registry, entry: Entry) -> Iterator[PluginProblem]:
    """Import the target of an entry, and yield its problems."""
    origin = (entry.plugin, entry.distribution, entry.version)
    try:
        found = registry.resolve(entry.kind, entry.qualified)
    except BrokenTargetError as error:
        cause = error.__cause__
        advice = (
            f"`pip install --force-reinstall {entry.distribution}` installs its declared "
            "dependencies; if that does not help, its author must fix the target"
            if isinstance(cause, ImportError)
            else f"its author must fix `{entry.target}`; {SKELETON}"
        )
        yield PluginProblem(*origin, str(error), advice)
        return
    if isinstance(found, type):
        for what, advice in _class(entry, found):
            yield PluginProblem(*origin, what, advice)


def _class(entry: Entry, found: Any) -> Iterator[tuple[str, str]]:
    """Yield the problems of a component class, each with advice."""
    label = f"the {entry.kind} `{entry.name}`"
    if inspect.isabstract(found):
        names = ", ".join(f"`{name}`" for name in sorted(found.__abstractmethods__))
        yield f"{label} is abstract", f"its author must implement {names} in `{entry.target}`"
    name = found.Config.model_fields["name"]
    fix = f'its author must write `name: str = "{entry.name}"` in the Config'
    if name.is_required():
        yield f"{label} has no name in its Config", fix
    elif name.default != entry.name:
        yield f"{label} has the name `{name.default}` in its Config", fix
    try:
        found.Config.model_json_schema()
    except Exception as error:
        cause = describe(error).splitlines()[0]
        yield (
            f"the Config of {label} has no JSON Schema, so editors cannot check it: {cause}",
            "its author must give its fields types that pydantic supports",
        )


def _shared(entries: list[Entry]) -> Iterator[PluginProblem]:
    """Yield a note for each name that several distributions add."""
    owners: dict[tuple[str, str], dict[str, Entry]] = {}
    for entry in entries:
        owners.setdefault((entry.kind, entry.name), {}).setdefault(entry.distribution, entry)
    for same in owners.values():
        for entry in same.values() if len(same) > 1 else ():
            others = ", ".join(sorted(same.keys() - {entry.distribution}))
            yield PluginProblem(
                entry.plugin,
                entry.distribution,
                entry.version,
                f"the {entry.kind} `{entry.name}` is also added by {others}",
                f"write `{entry.qualified}` in configurations",
                is_broken=False,
            )
