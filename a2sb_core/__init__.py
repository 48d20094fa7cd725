"""Core of the restoration framework: interfaces, plugins, configuration and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a2sb_core.engine.restorer import Restorer

__all__ = ["Restorer"]


def __getattr__(name: str) -> Any:
    """Import :class:`Restorer`, and torch with it, only when it is asked for."""
    if name == "Restorer":
        from a2sb_core.engine.restorer import Restorer

        return Restorer
    raise AttributeError(f"module `a2sb_core` has no attribute `{name}`")
