"""Registers the components of this package without importing them."""

from a2sb_core.plugins import Registrar, hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Add the corruption, an option for its parameter, and the preset of a training run."""
    registrar.add(
        "corruption", "bit_depth", "a2sb_bit_depth.quantizing:BitDepth", summary="few bits"
    )
    registrar.add("preset", "bit_depth", "a2sb_bit_depth:train.yaml", summary="a dequantizer")
    registrar.add_option(
        "requantize",
        "bits",
        "--bits",
        metavar="BITS",
        help="Number of bits per sample, 3 to 12.",
        parse="builtins:int",
    )
