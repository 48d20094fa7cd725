"""Laws, the cases they are checked on, and the pytest items that both make."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from torch import Tensor

from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.metric import Outcome
from a2sb_core.plugins import KINDS
from a2sb_core.plugins.component_config import ComponentConfig

EVERY_KIND = "component"


class BrokenLawError(AssertionError):
    """A component does not obey a law; the message says what was seen and what is to be done."""


class NotCheckedError(Exception):
    """A law cannot be checked here: the component needs what is not installed."""


@dataclass(frozen=True)
class Case:
    """A configuration to check, and what a law needs to know besides.

    Attributes:
        config: configuration of the component.
        known_failures: laws that are known to be broken, each with the reason. They are strict: a
            law that holds although it stands here is a failure, and so is any other error.
        ranges: corruption: between which values each parameter is drawn, inclusive; those that
            the corruption itself declares are checked besides.
        of_part: corruption with parts: the parameters of the whole where only the damage of one
            part is there, from (corruption, number of the part, parameters of the part).
        tasks: restorer: what it is asked to do, with which parameters of the damage.
        known_values: metric: outcomes, and what the metric says of each; at least one.
        outcome: metric: how an outcome is made of (truth, estimate, sample rate), where a metric
            looks at more than these.
        checkpoint: converter: writes a small valid checkpoint into a folder and returns its files;
            the number is the seed of its weights, which all differ from those of another seed.

    Example:
        >>> from a2sb_core.interfaces import ComponentConfig
        >>> Case(ComponentConfig(name="x"), known_failures={"inverse": "phase is dropped"}).label
        'x'
    """

    config: ComponentConfig
    known_failures: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    of_part: Callable[[Corruption, int, Any], Any] | None = None
    tasks: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("bandwidth", {"cutoff_hz": 4000.0}),
        ("inpaint", {"gaps_s": ((0.1, 0.11),)}),
    )
    known_values: tuple[tuple[Outcome, float], ...] = ()
    outcome: Callable[[Tensor, Tensor, int], Outcome] = Outcome
    checkpoint: Callable[[Path, int], Sequence[Path]] | None = None

    @property
    def label(self) -> str:
        """Name of this case in reports."""
        return self.config.name

    @property
    def kind(self) -> str:
        """The kind of the component."""
        kind: str = self.config.component.kind
        return kind


@dataclass(frozen=True)
class Law:
    """A law for each component of a kind.

    Attributes:
        name: name of the law.
        statement: the law in words; the first sentence is enough to understand it.
        check: raises :class:`BrokenLawError`, or :class:`NotCheckedError` where the component
            cannot run.
    """

    name: str
    statement: str
    check: Callable[[Case], None]

    @property
    def sentence(self) -> str:
        """The first sentence of the statement."""
        return " ".join(re.split(r"(?<=\.)\s", self.statement, maxsplit=1)[0].split())


_LAWS: dict[str, list[Law]] = {}


def law(kind: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Make a function of a case the law of that name; its docstring is the law in words."""

    def add(check: Callable[[Case], None]) -> Callable[[Case], None]:
        @wraps(check)
        def checked(case: Case) -> None:
            try:
                check(case)
            except A2SBError:
                _require_that_it_runs(case)
                raise

        statement = (check.__doc__ or "").strip()
        _LAWS.setdefault(kind, []).append(Law(check.__name__, statement, checked))
        return check

    return add


def _require_that_it_runs(case: Case) -> None:
    """Raise NotCheckedError if ``check`` of a component says that it cannot run here."""
    if hasattr(case.config.component, "check"):
        try:
            case.config.build().check()
        except A2SBError as error:
            raise NotCheckedError(str(error)) from error


def require(holds: object, message: str) -> None:
    """Raise :class:`BrokenLawError` unless something holds."""
    if not holds:
        raise BrokenLawError(message)


def module_of(kind: str) -> Any:
    """Return the module of a kind's laws; its ``calls(case)`` are the uses of a component.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind `{kind}`; kinds: {', '.join(KINDS)}")
    return importlib.import_module(f"a2sb_core.testing.{kind}")


def laws(kind: str) -> tuple[Law, ...]:
    """Return the laws of a kind: those of every kind, then its own."""
    importlib.import_module("a2sb_core.testing.common")
    module_of(kind)
    return (*_LAWS[EVERY_KIND], *_LAWS[kind])


def as_cases(kind: str, given: Iterable[ComponentConfig | Case]) -> list[Case]:
    """Return cases from configurations or cases.

    Raises:
        ConfigError: there is none, one is of another kind, or a known failure names no law or
            gives no reason.
    """
    cases = [one if isinstance(one, Case) else Case(one) for one in given]
    names = [one.name for one in laws(kind)]
    if not cases:
        raise ConfigError(f"no case of a {kind} was given: a contract needs at least one")
    for case in cases:
        if case.kind != kind:
            raise ConfigError(f"`{case.label}` is a {case.kind}, not a {kind}")
        for name, reason in case.known_failures.items():
            if name not in names:
                raise ConfigError(
                    f"`{case.label}`: there is no law `{name}`; laws of a {kind}: "
                    f"{', '.join(names)}"
                )
            if not reason.strip():
                raise ConfigError(f"`{case.label}`: say why the law `{name}` is broken")
    return cases


def contract(kind: str, cases: Iterable[ComponentConfig | Case]) -> Callable[..., None]:
    """Return a test function that pytest expands to one item a case and law.

    Args:
        kind: kind of the components, such as ``corruption``.
        cases: configurations, or :class:`Case` where something must be said besides.

    Raises:
        ConfigError: as :func:`as_cases`; or pytest is not installed.
    """
    try:
        import pytest
    except ImportError as error:
        raise ConfigError(
            "a contract is run by pytest, which is not installed: `pip install pytest`, or check "
            "an installed plugin with `a2sb plugins check`"
        ) from error
    checked = as_cases(kind, cases)
    labels = [case.label for case in checked]
    items = [
        pytest.param(
            one,
            case,
            id=f"{case.label}{i if labels.count(case.label) > 1 else ''}-{one.name}",
            marks=[
                pytest.mark.xfail(strict=True, reason=reason, raises=BrokenLawError)
                for name, reason in case.known_failures.items()
                if name == one.name
            ],
        )
        for i, case in enumerate(checked)
        for one in laws(kind)
    ]

    @pytest.mark.parametrize(("obeyed", "case"), items)
    def test_contract(obeyed: Law, case: Case) -> None:
        try:
            obeyed.check(case)
        except NotCheckedError as error:
            pytest.skip(str(error))

    return test_contract
