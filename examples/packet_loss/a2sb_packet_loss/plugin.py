"""Registers the components of this package without importing them."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, and the preset of a training run."""
    target = "a2sb_packet_loss.packets:PacketLoss"
    registrar.add("corruption", "packet_loss", target, summary="packets of a stream are lost")
    registrar.add("preset", "packet_loss", "a2sb_packet_loss:train.yaml", summary="a concealer")
