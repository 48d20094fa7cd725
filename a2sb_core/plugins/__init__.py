"""Plugins: the hook, the registry of components, discovery and diagnosis."""

from a2sb_core.plugins.damage_options import DamageOption, DamageTextError, read_damage
from a2sb_core.plugins.discovery import BUILTIN_PLUGINS, default_registry, discover, reset
from a2sb_core.plugins.hooks import API_VERSION, hookimpl
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
    "API_VERSION",
    "BUILTIN_PLUGINS",
    "KINDS",
    "RESOURCE_KINDS",
    "AmbiguousNameError",
    "ApiVersionError",
    "BrokenTargetError",
    "DamageOption",
    "DamageTextError",
    "Entry",
    "Failure",
    "HookError",
    "Registrar",
    "Registry",
    "TakenNameError",
    "UnknownNameError",
    "default_registry",
    "discover",
    "hookimpl",
    "read_damage",
    "reset",
]
