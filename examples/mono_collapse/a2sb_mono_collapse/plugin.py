"""Registers the components of this package without importing them."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, and the preset of a training run."""
    registrar.add(
        "corruption", "mono_collapse", "a2sb_mono_collapse.collapse:MonoCollapse", summary="mono"
    )
    registrar.add("preset", "mono_collapse", "a2sb_mono_collapse:train.yaml", summary="a widener")
