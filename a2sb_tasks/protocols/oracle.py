"""Damage of the representation of clean clips, as the published code evaluates its model."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from a2sb_core.interfaces import Damaged
from a2sb_tasks.protocols.bandwidth import BandwidthLimit
from a2sb_tasks.protocols.gap import RegularGaps

BESIDE_HZ = 0.01
"""Distance from the cutoff above which rows are missing: a row at the cutoff itself is known."""


class OracleBandwidth(BandwidthLimit):
    """Models restore the clean clip above the cutoff: ``oracle-4k`` masks rows above 4 kHz.

    The rows up to the cutoff are those of the clean clip, without the slope of a filter. Other
    systems receive the clip that is resampled as by ``bandwidth-4k``.
    """

    class Config(BandwidthLimit.Config):
        """The cutoff."""

        name: str = "oracle"

    def damage(self, wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        """Limit the bandwidth of (C, T) audio, and keep the clean audio for models."""
        damaged = super().damage(wave, sample_rate, generator)
        edge = {"edge_hz": self.config.cutoff_hz + BESIDE_HZ}
        return replace(damaged, parameters={**damaged.parameters, **edge}, clean=wave)


class OracleGaps(RegularGaps):
    """Models restore gaps of the clean clip: ``oracle-gap-300`` masks frames of 300 ms.

    Missing are the frames whose middle lies in a gap. All others are those of the clean clip, also
    where they reach into the gap. Other systems receive the clip with silent gaps.
    """

    class Config(RegularGaps.Config):
        """Length and interval of the gaps."""

        name: str = "oracle-gap"

    def damage(self, wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        """Silence gaps of (C, T) audio, and keep the clean audio for models."""
        damaged = super().damage(wave, sample_rate, generator)
        return replace(damaged, parameters={**damaged.parameters, "intact": True}, clean=wave)
