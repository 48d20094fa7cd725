"""Registry of the components and resources that plugins add, by kind and name."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from a2sb_core.common.text import printable, printable_text
from a2sb_core.errors import PluginError
from a2sb_core.plugins.damage_options import DamageOption
from a2sb_core.plugins.foreign_code import PluginExitError, describe, foreign_code

KINDS = (
    "representation",
    "corruption",
    "guess",
    "bridge",
    "prediction",
    "loss",
    "backbone",
    "sampler",
    "metric",
    "protocol",
    "restorer",
    "converter",
)
"""Kinds of components: a target is a class, ``package.module:Class``."""

RESOURCE_KINDS = ("model", "preset")
"""Kinds of resources: a target is a folder or a YAML file, ``package:relative/path``."""

_FLAG = re.compile(r"--[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME = re.compile(r"[a-z0-9_.-]+")
_TARGET = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_RESOURCE = re.compile(r"\w+(\.\w+)*:[^/\\:][^\\:]*")


class UnknownNameError(PluginError):
    """No plugin adds this name."""


class AmbiguousNameError(PluginError):
    """Several plugins add this name."""


class BrokenTargetError(PluginError):
    """The target of a plugin cannot be imported, or does not fit its kind."""


class TakenNameError(PluginError):
    """A plugin adds a name that is reserved, or that its distribution has already added."""


class HookError(PluginError):
    """The hook of a plugin is missing or invalid."""


class ApiVersionError(PluginError):
    """A plugin is written for another version of the plugin API."""


@dataclass(frozen=True)
class Entry:
    """A name that a plugin adds, with its target and its origin.

    ``typical`` lists typical uses of the name, with options or arguments as users write them.
    """

    kind: str
    name: str
    target: str
    summary: str
    plugin: str
    distribution: str
    version: str
    builtin: bool = False
    typical: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """Name with its distribution, ``distribution:name``, which is always unambiguous."""
        return f"{self.distribution}:{self.name}"

    @property
    def origin(self) -> str:
        """Plugin, distribution and version, for messages."""
        return _origin(self.plugin, self.distribution, self.version)


@dataclass(frozen=True)
class Failure:
    """A failure of a plugin, or of one of its entries."""

    plugin: str
    distribution: str
    version: str
    reason: str
    exception: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{_origin(self.plugin, self.distribution, self.version)}: {self.reason}"

    def error(self) -> PluginError:
        """Return the failure as an error, with its cause."""
        error = PluginError(str(self))
        error.__cause__ = self.exception
        return error


class Registrar:
    """Collects everything that one plugin adds.

    Control characters in texts of the plugin are escaped, since they end up in terminals.

    Example:
        >>> registrar = Registrar("my_plugin", "my-package", "0.1")
        >>> registrar.add("metric", "loudness", "my_package.loudness:Loudness", summary="LUFS.")
        >>> registrar.add("metric", "Peak", "my_package.loudness:Peak")
        Traceback (most recent call last):
        a2sb_core.errors.PluginError: malformed name `Peak` of a metric: use lower-case letters, \
digits, `_.-`
    """

    def __init__(self, plugin: str, distribution: str, version: str, builtin: bool = False) -> None:
        """Create an empty registrar for a plugin of a distribution in some version."""
        names = map(printable, (plugin, distribution, version))
        self.plugin, self.distribution, self.version = names
        self.builtin = builtin
        self.entries: list[Entry] = []
        self.options: list[DamageOption] = []

    @property
    def origin(self) -> str:
        """Name of the plugin and its distribution."""
        return _origin(self.plugin, self.distribution, self.version)

    def add(
        self, kind: str, name: str, target: str, summary: str = "", typical: Iterable[str] = ()
    ) -> None:
        """Add a component or a resource.

        Args:
            kind: one of ``KINDS`` or ``RESOURCE_KINDS``.
            name: name in configurations, of lower-case letters, digits, ``_``, ``.`` and ``-``.
            target: ``package.module:Class`` of a component, imported when a configuration names
                it; ``package:relative/path`` of a resource.
            summary: description in one line.
            typical: typical uses of the name, with options or arguments, such as
                ``loudness(gated=true)``. Shells complete them, and those of built-in entries are
                the defaults of evaluations.

        Raises:
            PluginError: an argument is malformed, or this plugin has already added the name.
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
        self.entries.append(Entry(kind, name, target, printable(summary), *origin, tuple(typical)))

    def add_option(self, task: str, parameter: str, flag: str, **settings: Any) -> None:
        """Declare how people specify a parameter of a damage; see :class:`DamageOption`.

        Raises:
            PluginError: the flag is malformed, or this plugin has already declared it.
        """
        if not _FLAG.fullmatch(flag):
            raise PluginError(f"malformed option `{flag}`: use `--` and lower-case words")
        if any(option.flag == flag for option in self.options):
            raise PluginError(f"the option `{flag}` is declared twice")
        shown: dict[str, Any] = {
            key: printable(value) if isinstance(value, str) else value
            for key, value in settings.items()
        }
        self.options.append(DamageOption(task, parameter, flag, **shown))

    def failure(self, reason: str, exception: BaseException | None = None) -> Failure:
        """Describe a failure of this plugin."""
        text = printable_text(reason)
        return Failure(self.plugin, self.distribution, self.version, text, exception)


class Registry:
    """Everything that the plugins add.

    The names of built-in entries are reserved: an entry of another plugin with such a name is
    reported in ``failures`` and remains available as ``distribution:name``. The use of a bare name
    that several other plugins add is an error.

    Attributes:
        failures: failures of plugins, which the registry does not raise.
        options: damage options; the first plugin that declares a flag owns it.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        failures: Iterable[Failure] = (),
        options: Iterable[DamageOption] = (),
    ) -> None:
        """Store the entries and options of all plugins, and the failures so far.

        Raises:
            PluginError: two built-in entries of a kind have the same name.
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
        self.options = tuple(options)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """List the entries of a kind (default: of all kinds).

        Raises:
            PluginError: the kind is unknown.
        """
        if kind is not None:
            _check_kind(kind)
        return [
            entry for same in self._entries.values() for entry in same if kind in (None, entry.kind)
        ]

    def names(self, kind: str) -> list[str]:
        """List the names of a kind, with the distribution where the bare name is ambiguous."""
        return sorted(self.shortest(entry) for entry in self.entries(kind))

    def typical(self, kind: str, *, builtin: bool = True) -> tuple[str, ...]:
        """Return typical uses of the components of a kind, in the order of registration.

        Args:
            kind: kind of the components.
            builtin: whether to return those of built-in entries only.
        """
        chosen = [entry for entry in self.entries(kind) if entry.builtin or not builtin]
        return tuple(text for entry in chosen for text in entry.typical)

    def shortest(self, entry: Entry) -> str:
        """Return the shortest unambiguous name of ``entry``."""
        same = self._entries[entry.kind, entry.name]
        return entry.name if entry.builtin or len(same) == 1 else entry.qualified

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry of a bare or qualified name.

        Raises:
            UnknownNameError: no plugin adds the name; the message lists similar and known names.
            AmbiguousNameError: several plugins add the name; the message lists qualified names.
        """
        found = [entry for entry in self.entries(kind) if name in (entry.name, entry.qualified)]
        found = [entry for entry in found if entry.builtin] or found
        if not found:
            raise UnknownNameError(self._unknown(kind, name))
        if len(found) > 1:
            names = " or ".join(f"`{entry.qualified}`" for entry in found)
            raise AmbiguousNameError(f"several plugins add a {kind} `{name}`: write {names}")
        return found[0]

    def find(self, name: str) -> list[Entry]:
        """Return the entries of all kinds that have a bare or qualified name.

        Raises:
            UnknownNameError: there is none; the message lists similar names.
        """
        found = [entry for entry in self.entries() if name in (entry.name, entry.qualified)]
        if found:
            return found
        names = {entry.name: entry.kind for entry in self.entries()}
        near = difflib.get_close_matches(name, names, 3)
        hint = " or ".join(f"`{one}` ({names[one]})" for one in near)
        lines = [f"unknown name `{name}`" + (f"; did you mean {hint}?" if near else "")]
        lines.append("`a2sb plugins list` lists all names")
        raise UnknownNameError("\n".join([*lines, *self._not_loaded()]))

    def resolve(self, kind: str, name: str) -> Any:
        """Return the class or the resource of a name.

        Returns:
            The class of a component, imported and checked; or the path of a resource, from
            ``importlib.resources``.

        Raises:
            PluginError: the name is unknown or ambiguous, or its target is broken.
        """
        entry = self.entry(kind, name)
        try:
            with foreign_code("" if entry.builtin else entry.origin):
                return _resource(entry) if kind in RESOURCE_KINDS else _component(entry)
        except Exception as error:
            is_plain = isinstance(error, BrokenTargetError | PluginExitError)
            cause = str(error) if is_plain else describe(error)
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
        return "\n".join([lines, *self._not_loaded()])

    def _not_loaded(self) -> list[str]:
        return [f"not loaded: {failure}" for failure in self.failures]


def _check_kind(kind: str) -> None:
    if kind not in KINDS + RESOURCE_KINDS:
        raise PluginError(f"unknown kind `{kind}`; kinds: {', '.join(KINDS + RESOURCE_KINDS)}")


def _origin(plugin: str, distribution: str, version: str) -> str:
    return f"plugin `{plugin}` of {distribution} {version}"


def _component(entry: Entry) -> Any:
    """Import the class of an entry, and check the attributes that the core relies on."""
    module, _, attribute = entry.target.partition(":")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    if not isinstance(target, type):
        raise BrokenTargetError("it is not a class")
    config = getattr(target, "Config", None)
    if not (isinstance(config, type) and hasattr(config, "build")):
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
