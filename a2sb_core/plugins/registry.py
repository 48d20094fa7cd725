"""What plugins add, by kind and name, and what the names stand for."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from a2sb_core.errors import PluginError

KINDS = (
    "representation", "corruption", "bridge", "prediction", "backbone", "sampler", "metric",
    "restorer", "converter",
)
"""Kinds of components: a target is a class, ``package.module:Class``."""

RESOURCE_KINDS = ("model", "preset")
"""Kinds of resources: a target is a folder or a YAML file, ``package:relative/path``."""

_NAME = re.compile(r"[a-z0-9_.-]+")
_TARGET = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_RESOURCE = re.compile(r"\w+(\.\w+)*:[^/\\:][^\\:]*")


class UnknownNameError(PluginError):
    """No plugin adds this name."""


class AmbiguousNameError(PluginError):
    """Several plugins add this name."""


class BrokenTargetError(PluginError):
    """A plugin's target can not be imported, or is not what its kind needs."""


class TakenNameError(PluginError):
    """A plugin adds a name that is reserved, or that its distribution has added already."""


class HookError(PluginError):
    """A plugin has no hook that can be called."""


class ApiVersionError(PluginError):
    """A plugin is made for another version of the plugin API."""


@dataclass(frozen=True)
class Entry:
    """One name that a plugin adds, and where it comes from."""

    kind: str
    name: str
    target: str
    summary: str
    plugin: str
    distribution: str
    version: str
    builtin: bool = False

    @property
    def qualified(self) -> str:
        """The name that no other distribution can have, ``distribution:name``."""
        return f"{self.distribution}:{self.name}"

    @property
    def origin(self) -> str:
        """The plugin, its distribution and version, for messages."""
        return _origin(self.plugin, self.distribution, self.version)


@dataclass(frozen=True)
class Failure:
    """What went wrong with one plugin, or with one entry of it."""

    plugin: str
    distribution: str
    version: str
    reason: str
    exception: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{_origin(self.plugin, self.distribution, self.version)}: {self.reason}"

    def error(self) -> PluginError:
        """Return this as an error, with what caused it."""
        error = PluginError(str(self))
        error.__cause__ = self.exception
        return error


class Registrar:
    """Collects what one plugin adds.

    Example:
        >>> registrar = Registrar("my_plugin", "my-package", "0.1")
        >>> registrar.add("metric", "loudness", "my_package.loudness:Loudness", summary="LUFS.")
        >>> registrar.add("metric", "Peak", "my_package.loudness:Peak")
        Traceback (most recent call last):
        a2sb_core.errors.PluginError: malformed name `Peak` of a metric: use lower-case letters, \
digits, `_.-`
    """

    def __init__(
        self, plugin: str, distribution: str, version: str, builtin: bool = False
    ) -> None:
        """Start empty, for the plugin of a distribution and its version."""
        self.plugin, self.distribution, self.version = plugin, distribution, version
        self.builtin = builtin
        self.entries: list[Entry] = []

    def add(self, kind: str, name: str, target: str, summary: str = "") -> None:
        """Add a component or a resource.

        Args:
            kind: one of ``KINDS`` or ``RESOURCE_KINDS``.
            name: what configurations call it; lower-case letters, digits, ``_``, ``.`` and ``-``.
            target: ``package.module:Class`` of a component, imported when a configuration names
                it; ``package:relative/path`` of a resource.
            summary: one line that says what it is.

        Raises:
            PluginError: one of these is malformed, or this plugin has added the name before.
        """
        _check_kind(kind)
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"malformed name `{name}` of a {kind}: use lower-case letters, digits, `_.-`"
            )
        resource = kind in RESOURCE_KINDS
        well_formed = (_RESOURCE if resource else _TARGET).fullmatch(target)
        if not well_formed or (resource and ".." in PurePosixPath(target.split(":")[1]).parts):
            form = "package:relative/path" if resource else "package.module:Class"
            raise PluginError(f"malformed target `{target}` of the {kind} `{name}`: not `{form}`")
        if any((entry.kind, entry.name) == (kind, name) for entry in self.entries):
            raise PluginError(f"the {kind} `{name}` is added twice")
        origin = (self.plugin, self.distribution, self.version, self.builtin)
        self.entries.append(Entry(kind, name, target, summary, *origin))

    def failure(self, reason: str, exception: BaseException | None = None) -> Failure:
        """Describe a failure of this plugin."""
        return Failure(self.plugin, self.distribution, self.version, reason, exception)


class Registry:
    """All that the plugins add.

    Names of built-ins are reserved: another plugin's entry of the same name is reported in
    ``failures`` and stays reachable as ``distribution:name``. A name that several other plugins
    share is an error where it is used.

    Attributes:
        failures: what went wrong, plugin by plugin; never raised here.
    """

    def __init__(self, entries: Iterable[Entry], failures: Iterable[Failure] = ()) -> None:
        """Take the entries of all plugins, and what went wrong on the way.

        Raises:
            PluginError: two built-ins share a name.
        """
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        problems = list(failures)
        for entry in sorted(entries, key=lambda entry: not entry.builtin):
            same = self._entries.setdefault((entry.kind, entry.name), [])
            taken = [other for other in same if other.builtin or other.qualified == entry.qualified]
            if taken:
                reason = f"the {entry.kind} `{entry.name}` is taken by {taken[0].origin}"
                if taken[0].qualified != entry.qualified:
                    reason += f"; this one is `{entry.qualified}`"
                failure = Failure(
                    entry.plugin, entry.distribution, entry.version, reason, TakenNameError(reason)
                )
                if entry.builtin:
                    raise failure.error()
                problems.append(failure)
            if all(other.qualified != entry.qualified for other in same):
                same.append(entry)
        self.failures = tuple(problems)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """List what is registered, of one kind or of all.

        Raises:
            PluginError: there is no such kind.
        """
        if kind is not None:
            _check_kind(kind)
        return [
            entry for same in self._entries.values() for entry in same if kind in (None, entry.kind)
        ]

    def names(self, kind: str) -> list[str]:
        """List the names of a kind that resolve: bare where that is clear, else qualified."""
        return sorted(self.shortest(entry) for entry in self.entries(kind))

    def shortest(self, entry: Entry) -> str:
        """Return the shortest name that stands for ``entry`` and no other."""
        same = self._entries[entry.kind, entry.name]
        return entry.name if entry.builtin or len(same) == 1 else entry.qualified

    def entry(self, kind: str, name: str) -> Entry:
        """Find the entry that a name stands for, bare or qualified.

        Raises:
            UnknownNameError: there is none; the message tells the nearest and all known names.
            AmbiguousNameError: there are several; the message tells their qualified names.
        """
        found = [entry for entry in self.entries(kind) if name in (entry.name, entry.qualified)]
        found = [entry for entry in found if entry.builtin] or found
        if not found:
            raise UnknownNameError(self._unknown(kind, name))
        if len(found) > 1:
            names = " or ".join(f"`{entry.qualified}`" for entry in found)
            raise AmbiguousNameError(f"several plugins add a {kind} `{name}`: write {names}")
        return found[0]

    def resolve(self, kind: str, name: str) -> Any:
        """Return what a name stands for.

        Returns:
            The class of a component, imported and checked; the path of a resource, as
            ``importlib.resources`` gives it.

        Raises:
            PluginError: the name is unknown or ambiguous, or its target is broken.
        """
        entry = self.entry(kind, name)
        try:
            return _resource(entry) if kind in RESOURCE_KINDS else _component(entry)
        except (Exception, SystemExit) as error:
            cause = str(error) if isinstance(error, BrokenTargetError) else describe(error)
            raise BrokenTargetError(
                f"the {kind} `{entry.name}` (`{entry.target}`) of {entry.origin} is broken: {cause}"
            ) from error

    def _unknown(self, kind: str, name: str) -> str:
        names = self.names(kind)
        near = difflib.get_close_matches(name, names, 1)
        lines = f"unknown {kind} `{name}`"
        if near:
            lines += f"; did you mean `{near[0]}`?"
        lines += f"\nknown names: {', '.join(names) or 'none'}"
        for failure in self.failures:
            lines += f"\nnot loaded: {failure}"
        return lines


def _check_kind(kind: str) -> None:
    if kind not in KINDS + RESOURCE_KINDS:
        raise PluginError(f"unknown kind `{kind}`; kinds: {', '.join(KINDS + RESOURCE_KINDS)}")


def _origin(plugin: str, distribution: str, version: str) -> str:
    return f"plugin `{plugin}` of {distribution} {version}"


def describe(error: BaseException) -> str:
    """Return one line that says what was raised."""
    return f"{type(error).__name__}: {error}"


def _component(entry: Entry) -> Any:
    """Import the class of an entry; check what the core relies on before it is built."""
    from a2sb_core.config.component import ComponentConfig

    module, _, attribute = entry.target.partition(":")
    with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
        target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    if not isinstance(target, type):
        raise BrokenTargetError("it is not a class")
    config = getattr(target, "Config", None)
    if not (isinstance(config, type) and issubclass(config, ComponentConfig)):
        raise BrokenTargetError("it has no nested `Config` that derives from ComponentConfig")
    if getattr(target, "kind", None) != entry.kind:
        raise BrokenTargetError(f"its kind is `{getattr(target, 'kind', None)}`")
    if getattr(config, "component", None) is not target:
        raise BrokenTargetError("its `Config` is inherited and would build another class")
    return target


def _resource(entry: Entry) -> Any:
    package, _, path = entry.target.partition(":")
    found = resources.files(package).joinpath(path)
    if not (found.is_dir() if entry.kind == "model" else found.is_file()):
        raise BrokenTargetError(f"there is no such {'folder' if entry.kind == 'model' else 'file'}")
    return found
