"""Names what this package adds; imports nothing heavy."""

from a2sb_core.plugins import hookimpl

A2SB_API_VERSION = "2.0"


@hookimpl
def a2sb_register(registrar):
    """Add the corruption, and an option for its parameter."""
    registrar.add("corruption", "hum", "a2sb_hum.hum:Hum", summary="mains hum covers the lows")
    registrar.add_option(
        "hum",
        "mains_hz",
        "--mains",
        metavar="HZ",
        help="Frequency of the mains in Hz.",
        label="Mains frequency in Hz",
        parse="builtins:float",
    )
