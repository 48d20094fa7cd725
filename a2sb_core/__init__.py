"""Core of the framework: interfaces, plugins, configuration, restoration, training."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a2sb_core.restoration.chain import Chain
    from a2sb_core.restoration.listener import Listener
    from a2sb_core.restoration.options import RestoreOptions, WriteOptions
    from a2sb_core.restoration.restorer import Restorer

    __version__: str

__all__ = ["Chain", "Listener", "RestoreOptions", "Restorer", "WriteOptions", "__version__"]

_MODULES = {
    "Chain": "chain",
    "Listener": "listener",
    "RestoreOptions": "options",
    "Restorer": "restorer",
    "WriteOptions": "options",
}


def __getattr__(name: str) -> Any:
    """Import a public class, and torch with it, or look up the version on first use."""
    if name == "__version__":
        from a2sb_core.common.packages import version_or_unknown

        return version_or_unknown()
    if name not in _MODULES:
        raise AttributeError(f"module `a2sb_core` has no attribute `{name}`")
    return getattr(_import_quickly(f"a2sb_core.restoration.{_MODULES[name]}"), name)


def _import_quickly(module: str) -> ModuleType:
    """Import a module while the garbage collector rests: it would walk all of torch each time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if was_enabled:
            gc.enable()
