"""Plugins: who adds which component under which name."""

from a2sb_core.plugins.discovery import BUILTIN_PLUGINS, default_registry, discover, reset
from a2sb_core.plugins.hookspecs import API_VERSION, hookimpl, hookspec
from a2sb_core.plugins.registry import (
    KINDS,
    RESOURCE_KINDS,
    AmbiguousNameError,
    ApiVersionError,
    BrokenTargetError,
    Entry,
    Failure,
    HookError,
    Registrar,
    Registry,
    TakenNameError,
    UnknownNameError,
)

__all__ = [
    "API_VERSION", "BUILTIN_PLUGINS", "KINDS", "RESOURCE_KINDS", "AmbiguousNameError",
    "ApiVersionError", "BrokenTargetError", "Entry", "Failure", "HookError", "Registrar",
    "Registry", "TakenNameError", "UnknownNameError", "default_registry", "discover", "hookimpl",
    "hookspec", "reset",
]
