"""The hook that plugins implement, and the version of the plugin API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from a2sb_core.plugins.registry import Registrar

API_VERSION = "2.0"

hookspec = pluggy.HookspecMarker("a2sb")
hookimpl = pluggy.HookimplMarker("a2sb")


@hookspec
def a2sb_register(registrar: Registrar) -> None:
    """Register the components of a plugin by calling :meth:`Registrar.add` on ``registrar``.

    Targets are strings, so a plugin module needs to import nothing but :data:`hookimpl`. It may
    define ``A2SB_API_VERSION = "2.0"``, the version of the API that it was written for. A plugin
    for another major version is reported and not loaded.

    Example:
        >>> from a2sb_core.plugins import Registrar, hookimpl
        >>> @hookimpl
        ... def a2sb_register(registrar):
        ...     registrar.add("bridge", "steady", "my_package.bridges:Steady",
        ...                   summary="Noise of constant diffusion around a line.")
        >>> registrar = Registrar("my_plugin", "my-package", "0.1")
        >>> a2sb_register(registrar)
        >>> registrar.entries[0].qualified
        'my-package:steady'
    """
