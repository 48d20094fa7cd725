"""Names what this package adds; imports nothing heavy."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "1.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, and the settings of a training run."""
    registrar.add(
        "corruption", "clipping", "a2sb_declip.clipping:Clipping",
        summary="peaks that were driven beyond full scale and cut",
    )
    registrar.add("preset", "declip", "a2sb_declip:train.yaml", summary="a small model of it")
