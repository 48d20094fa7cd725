"""Groups of options: a command takes a dataclass, and the command line its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, Protocol, get_type_hints


class OptionGroup(Protocol):
    """A class that lists its options itself and is built from their values."""

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Return the options as parameters of a command."""

    @classmethod
    def collect(cls, values: dict[str, Any]) -> Any:
        """Return the object for the values of :meth:`parameters`, by their names."""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Expand each parameter that is a dataclass or an :class:`OptionGroup` into its options.

    The fields of a dataclass are annotated as the parameters of a Typer command are.
    """
    signature = inspect.signature(command, eval_str=True)
    expanded = {one.name: _options(one) for one in signature.parameters.values()}
    taken: dict[str, inspect.Parameter] = {}
    for parameters in expanded.values():
        for one in parameters:
            taken.setdefault(one.name, one)

    @wraps(command)
    def wrapped(**values: Any) -> None:
        given = {}
        for parameter in signature.parameters.values():
            own = {one.name: values[one.name] for one in expanded[parameter.name]}
            given[parameter.name] = _collected(parameter, own)
        command(**given)

    wrapped.__signature__ = signature.replace(parameters=list(taken.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in taken.values()}
    del wrapped.__wrapped__
    return wrapped


def _options(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """Return the parameters that a parameter of a command stands for."""
    group = parameter.annotation
    if hasattr(group, "collect"):
        listed: list[inspect.Parameter] = group.parameters()
        return listed
    if not is_dataclass(group):
        return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _collected(parameter: inspect.Parameter, values: dict[str, Any]) -> Any:
    """Return the argument of a command for the values of its options."""
    group = parameter.annotation
    if hasattr(group, "collect"):
        return group.collect(values)
    if isinstance(group, type) and is_dataclass(group):
        return group(**values)
    return values[parameter.name]
