"""Parameters of damage: random draws within ranges, scaled values, and values that are unknown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Optional, Union, get_args, get_origin

import torch
from pydantic import Field, create_model

from a2sb_core.plugins.component_config import FrozenConfig


def draw_value(annotation: Any, values: Sequence[Any], generator: torch.Generator) -> Any:
    """Draw one value of a field uniformly.

    Args:
        annotation: type of the field.
        values: smallest and largest value of a number, or the choices of any other field.
        generator: source of the draw.
    """
    if not _is_interval(annotation, values):
        return list(values)[int(torch.randint(len(values), (), generator=generator))]
    low, high = values
    if float in _types(annotation):
        return low + (high - low) * float(torch.rand((), generator=generator))
    return int(torch.randint(int(low), int(high) + 1, (), generator=generator))


def scale_value(annotation: Any, values: Sequence[Any], value: Any) -> float | None:
    """Scale a value from its range, as in :func:`draw_value`, to [-1, 1].

    Numbers outside of their range become its nearest end. Choices are equally spaced; the result is
    None for a value that is not among them.
    """
    if _is_interval(annotation, values):
        low, high = values
    elif value not in values:
        return None
    else:
        low, high, value = 0, len(values) - 1, list(values).index(value)
    share = (value - low) / (high - low) if high > low else 0.5
    return float(2 * min(max(share, 0.0), 1.0) - 1)


@cache
def partly_known(kind: type[FrozenConfig], needed: Collection[str]) -> type[FrozenConfig]:
    """Return a class of parameters whose required fields, except for ``needed``, may be None."""
    fields: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if field.is_required() and name not in needed:
            known: Any = field.annotation
            if field.metadata:
                known = Annotated[known, *field.metadata]
            fields[name] = Optional[known], Field(None, description=field.description)  # noqa: UP045
    return create_model(kind.__name__, __base__=kind, **fields) if fields else kind


def _is_interval(annotation: Any, values: Sequence[Any]) -> bool:
    return len(values) == 2 and bool(_types(annotation) & {int, float})


def _types(annotation: Any) -> set[Any]:
    """Return the types of which a field may be."""
    if get_origin(annotation) is Annotated:
        return _types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for one in get_args(annotation) for kind in _types(one)}
    # A literal cannot be hashed if one of its values cannot.
    return {annotation} if isinstance(annotation, type) else set()
