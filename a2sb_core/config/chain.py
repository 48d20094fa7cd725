"""Configuration of chains."""

from __future__ import annotations

from typing import Any

from pydantic import Field, FiniteFloat

from a2sb_core.audio.choices import Stereo
from a2sb_core.common.limits import LOUDEST_DB, MAX_STEPS, SOFTEST_DB
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.plugins.component_config import FrozenConfig


class ChainStep(FrozenConfig):
    """One restoration of a chain."""

    task: str
    """Task of the model."""
    model: str = DEFAULT_MODEL
    """Name of a model, a model folder, or a hub id."""
    damage: dict[str, Any] = Field(default_factory=dict)
    """Known parameters of the damage (default: the damage is found)."""
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Number of network evaluations for each window (default: that of the model)."""
    seed: int = 0
    """Seed of the noise."""
    output_rate: int | None = Field(None, ge=1)
    """Sample rate of the result in Hz (default: that of the input, or what the task needs)."""
    stereo: Stereo = "lr"
    """Channels that are restored: ``lr``, ``ms`` or ``mono``."""
    amount: FiniteFloat = Field(1.0, ge=0, le=1)
    """Share of the change that the result contains."""
    level_db: FiniteFloat = Field(0.0, ge=SOFTEST_DB, le=LOUDEST_DB)
    """Gain of the change in dB."""
    level_dbfs: FiniteFloat | None = None
    """Root-mean-square level of the undamaged audio in dBFS (default: it is measured)."""


class ChainConfig(FrozenConfig):
    """Restorations in a row, each of the result of the one before it."""

    chain: tuple[ChainStep, ...] = Field(min_length=1, max_length=16)
    """The restorations, in their order."""
