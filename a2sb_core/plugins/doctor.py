"""What is wrong with the installed plugins, and what to do about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from a2sb_core.plugins.registry import (
    ApiVersionError,
    BrokenTargetError,
    Entry,
    Failure,
    HookError,
    Registry,
    TakenNameError,
    describe,
)

SKELETON = "`a2sb plugins new NAME` writes one that works"


@dataclass(frozen=True)
class Finding:
    """One thing to know of a plugin.

    Attributes:
        plugin: its entry point.
        distribution: the installed distribution.
        version: of it.
        what: what is wrong.
        advice: what to do.
        is_broken: something does not work; False where all works, but not under every name.
    """

    plugin: str
    distribution: str
    version: str
    what: str
    advice: str
    is_broken: bool = True


def examine(registry: Registry) -> list[Finding]:
    """Look at every plugin that is not built in, and import everything it adds."""
    strangers = [entry for entry in registry.entries() if not entry.builtin]
    findings = [_failed(failure) for failure in registry.failures]
    for entry in strangers:
        findings += _target(registry, entry)
    findings += _shared(
        strangers, lambda entry: (entry.kind, entry.name),
        lambda entry: f"{entry.kind} `{entry.name}`",
        lambda entry: f"write `{entry.qualified}` in configurations",
    )
    findings += _shared(
        strangers, lambda entry: (entry.plugin,), lambda entry: f"entry point `{entry.plugin}`",
        lambda entry: f"write `{entry.distribution}` in A2SB_PLUGINS; the name alone means both",
    )
    return findings


def _failed(failure: Failure) -> Finding:
    return Finding(
        failure.plugin, failure.distribution, failure.version, failure.reason, _advice(failure)
    )


def _advice(failure: Failure) -> str:
    """Say what to do, by what was raised."""
    error, distribution = failure.exception, failure.distribution
    if isinstance(error, ApiVersionError):
        return (
            f"install a version of {distribution} for this plugin API "
            f"(`pip install --upgrade {distribution}`), or a version of a2sb that it was made for"
        )
    if isinstance(error, TakenNameError):
        return f"write `{distribution}:NAME` in configurations; its author may choose another name"
    if isinstance(error, HookError):
        return f"its author must write `@hookimpl def a2sb_register(registrar)`; {SKELETON}"
    if isinstance(error, ImportError):
        return (
            f"`pip install --force-reinstall {distribution}` brings what it declares that it "
            "needs; if that does not help, tell its author"
        )
    if error is None:
        return "install it, or take it out of A2SB_PLUGINS"
    return (
        f"tell its author, with what `A2SB_STRICT_PLUGINS=1 A2SB_DEBUG=1 a2sb plugins list` "
        f"shows; `pip uninstall {distribution}` removes it"
    )


def _target(registry: Registry, entry: Entry) -> Iterator[Finding]:
    """Import what an entry stands for."""
    origin = (entry.plugin, entry.distribution, entry.version)
    try:
        found = registry.resolve(entry.kind, entry.qualified)
    except BrokenTargetError as error:
        cause = error.__cause__
        advice = (
            f"`pip install --force-reinstall {entry.distribution}` brings what it declares; if "
            "that does not help, its author must mend the target"
            if isinstance(cause, ImportError)
            else f"its author must mend `{entry.target}`; {SKELETON}"
        )
        yield Finding(*origin, str(error), advice)
        return
    if isinstance(found, type):
        for what, advice in _class(entry, found):
            yield Finding(*origin, what, advice)


def _class(entry: Entry, found: Any) -> Iterator[tuple[str, str]]:
    """Tell what keeps a component from being built or configured, and what to do."""
    label = f"the {entry.kind} `{entry.name}`"
    if inspect.isabstract(found):
        names = ", ".join(f"`{name}`" for name in sorted(found.__abstractmethods__))
        yield f"{label} is abstract", f"its author must write {names} in `{entry.target}`"
    name = found.Config.model_fields["name"]
    mend = f'its author must write `name: str = "{entry.name}"` there'
    if name.is_required():
        yield f"{label} has no name in its Config", mend
    elif name.default != entry.name:
        yield f"{label} calls itself `{name.default}` in its Config", mend
    try:
        found.Config.model_json_schema()
    except Exception as error:
        cause = describe(error).splitlines()[0]
        yield (
            f"the Config of {label} has no JSON Schema, so editors will not know it: {cause}",
            "its author must give its fields types that pydantic knows",
        )


def _shared(
    entries: list[Entry], key: Callable[[Entry], tuple[str, ...]], what: Callable[[Entry], str],
    advice: Callable[[Entry], str],
) -> Iterator[Finding]:
    """Tell of names that several distributions have."""
    owners: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in entries:
        owners.setdefault(key(entry), {}).setdefault(entry.distribution, entry)
    for same in owners.values():
        for entry in same.values() if len(same) > 1 else ():
            others = ", ".join(sorted(same.keys() - {entry.distribution}))
            yield Finding(
                entry.plugin, entry.distribution, entry.version,
                f"the {what(entry)} is also one of {others}", advice(entry), is_broken=False,
            )
