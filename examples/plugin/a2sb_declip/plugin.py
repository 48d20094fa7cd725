"""Registers the components of this package without importing them."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, and the preset of a training run."""
    registrar.add(
        "corruption",
        "clipping",
        "a2sb_declip.clipping:Clipping",
        summary="peaks are driven beyond full scale and cut off",
    )
    registrar.add(
        "preset", "declip", "a2sb_declip:train.yaml", summary="a small model for declipping"
    )
