"""The contract of what is installed: the laws without pytest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from a2sb_core.errors import PluginError
from a2sb_core.plugins import RESOURCE_KINDS, Entry, default_registry
from a2sb_core.testing.laws import BrokenLawError, Case, NotCheckedError, as_cases, laws


@dataclass(frozen=True)
class Verdict:
    """The verdict on one law for one case.

    Attributes:
        kind: kind of the component.
        name: the registered name.
        law: that was checked; or what else was looked at.
        state: ``holds``, ``broken``, ``known`` (broken, and declared so), ``mended`` (declared
            broken, and holds) or ``skipped`` (the component cannot run here).
        detail: why it is broken or skipped, or the reason that was given.
        sentence: the law in one sentence.
    """

    kind: str
    name: str
    law: str
    state: str
    detail: str = ""
    sentence: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the plugin passes this law."""
        return self.state in ("holds", "known")


def check_distribution(distribution: str) -> Iterator[Verdict]:
    """Check everything that an installed distribution adds.

    Raises:
        PluginError: no plugin of that distribution is installed, or it is built in.
    """
    registry = default_registry()
    wanted = distribution.lower().replace("_", "-").replace(".", "-")
    entries = [one for one in registry.entries() if one.distribution == wanted]
    failures = [one for one in registry.failures if one.distribution == wanted]
    if not entries and not failures:
        known = sorted({one.distribution for one in registry.entries() if not one.builtin})
        raise PluginError(
            f"no plugin of `{distribution}` is installed; installed: {', '.join(known) or 'none'}"
        )
    if any(one.builtin for one in entries):
        raise PluginError("the built-in parts are checked by the tests of a2sb itself")
    for failure in failures:
        yield Verdict("plugin", failure.plugin, "loads", "broken", failure.reason)
    for entry in entries:
        yield from _check(entry)


def _check(entry: Entry) -> Iterator[Verdict]:
    try:
        target = default_registry().resolve(entry.kind, entry.qualified)
        cases = [] if entry.kind in RESOURCE_KINDS else as_cases(entry.kind, cases_of(target))
    except Exception as error:  # a plugin may raise anything; it is reported
        yield Verdict(entry.kind, entry.name, "target resolves", "broken", str(error))
        return
    if entry.kind in RESOURCE_KINDS:
        yield Verdict(entry.kind, entry.name, "target resolves", "holds")
    for case in cases:
        for law in laws(entry.kind):
            verdict = _verdict(law.check, case, case.known_failures.get(law.name))
            yield Verdict(entry.kind, entry.name, law.name, *verdict, law.sentence)


def _verdict(check: Any, case: Case, reason: str | None) -> tuple[str, str]:
    try:
        check(case)
    except NotCheckedError as error:
        return "skipped", str(error)
    except BrokenLawError as error:
        return ("broken", str(error)) if reason is None else ("known", reason)
    except Exception as error:  # a law may fail in the midst of a plugin's code
        return "broken", f"{type(error).__name__}: {error}"
    return ("holds", "") if reason is None else ("mended", f"it holds, and was declared: {reason}")


def cases_of(component: Any) -> list[Any]:
    """Return the cases a component names in ``contract_cases``, or its default configuration.

    Raises:
        PluginError: there is no default configuration.
    """
    named = getattr(component, "contract_cases", None)
    if named is not None:
        return list(named())
    try:
        return [component.Config()]
    except ValueError as error:
        raise PluginError(
            "its Config has no defaults to check it with: give the component a static method "
            "`contract_cases` that returns configurations or cases"
        ) from error
