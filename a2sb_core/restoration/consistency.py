"""Check that the damaged stretches of a recording agree with what its corruption calls missing."""

from __future__ import annotations

import math

import torch

from a2sb_core.errors import PluginError, TaskError
from a2sb_core.interfaces import Corruption, Item, Noise, Representation
from a2sb_core.plugins import default_registry
from a2sb_core.restoration.damage import Damage

MOST_STRETCHES = 32
"""Largest number of stretches that are checked, since a contradiction concerns all of them."""
MOST_FRAMES = 512
"""Largest number of frames of a stretch that are checked, from its start on."""


def check_missing(damage: Damage, representation: Representation) -> None:
    """Check that content is missing in the damaged stretches, and not elsewhere around them.

    The samples of the stretches are replaced in the result, so that a contradiction would destroy
    good samples and leave the damage.

    Raises:
        TaskError: the corruption contradicts itself.
    """
    stretches = damage.stretches or ()
    spacing_s = representation.stride / representation.sample_rate
    reach_s = representation.grid(1).frame_s + spacing_s
    for start, end in stretches[:MOST_STRETCHES]:
        first = max(0, math.floor((start - 2 * reach_s) / spacing_s))
        count = min(MOST_FRAMES, math.ceil((end + 2 * reach_s) / spacing_s) + 1 - first)
        item = _silence(representation, first, count)
        noise = Noise(0, representation.channels, representation.rows)
        missing = damage.corruption.observe(item, damage.parameters, noise).missing
        if missing is None:
            return
        frames = missing.flatten(0, 2).any(dim=0).expand(count)
        times_s = item.grid.times_s
        inside = (times_s >= start) & (times_s <= end)
        near = torch.zeros(count, dtype=torch.bool)
        for low, high in stretches:
            near |= (times_s >= low - reach_s) & (times_s <= high + reach_s)
        if (bool(inside.any()) and not bool((frames & inside).any())) or bool(
            (frames & ~near).any()
        ):
            raise TaskError(
                f"the corruption `{damage.corruption.config.name}`{_origin(damage.corruption)} "
                f"contradicts itself: what it calls missing does not lie in the stretch from "
                f"{start:g} to {end:g} s that it calls damaged; its methods `missing` and "
                "`stretches` must agree"
            )


def _silence(representation: Representation, first: int, count: int) -> Item:
    """Return an item of frames from ``first`` on, whose content does not matter."""
    wave = torch.zeros(representation.audio_channels, count * representation.stride)
    z = torch.zeros(1, representation.channels, representation.rows, count)
    return Item(wave, z, representation, first)


def _origin(corruption: Corruption) -> str:
    """Return the plugin of a corruption, in brackets."""
    try:
        entry = default_registry().entry("corruption", corruption.config.name)
    except PluginError:
        return ""
    return f" ({entry.origin})"
