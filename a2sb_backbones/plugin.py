"""Names of the built-in networks, registered without importing the networks."""

from __future__ import annotations

from a2sb_core.plugins import Registrar, hookimpl

_PARTS = (
    (
        "backbone",
        "rope_unet",
        "rope_unet:RoPEUNet",
        "UNet with rotary attention and the frequency of each row (the paper's)",
    ),
    (
        "backbone",
        "experts",
        "experts:Experts",
        "a network for each range of t (the paper's t-range partitioning)",
    ),
    ("converter", "a2sb_release", "release:Release", "the checkpoints published with the paper"),
    ("model", "small", "weights:small", "12 M parameters, for CPUs; bandwidth and inpainting"),
    (
        "model",
        "a2sb_onesplit",
        "weights:a2sb_onesplit",
        "the published checkpoint of one network; non-commercial, to download",
    ),
    (
        "model",
        "a2sb_twosplit",
        "weights:a2sb_twosplit",
        "the published checkpoints of two t-range experts; non-commercial, to download",
    ),
)


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Register the networks of this package."""
    for kind, name, target, summary in _PARTS:
        registrar.add(kind, name, f"a2sb_backbones.{target}", summary=summary)
