"""Registers the components of this package without importing them."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, and the preset of a training run."""
    registrar.add("corruption", "wow_flutter", "a2sb_wow_flutter.wow:WowFlutter", summary="wow")
    registrar.add("preset", "wow_flutter", "a2sb_wow_flutter:train.yaml", summary="a steady tape")
