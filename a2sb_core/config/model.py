"""Configuration of models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat

from a2sb_core.common.limits import MAX_STEPS
from a2sb_core.plugins.component_config import (
    AnyBackbone,
    AnyBridge,
    AnyCorruption,
    AnyPrediction,
    AnyRepresentation,
    AnySampler,
    FrozenConfig,
)


class ModelConfig(FrozenConfig):
    """Composition of a restoration model: one component of each kind."""

    representation: AnyRepresentation
    """Representation: transforms audio to the plane in which the bridge runs, and back."""
    corruption: AnyCorruption
    """Corruption: the damage that the model restores."""
    bridge: AnyBridge
    """Bridge: the random process between clean and damaged items."""
    prediction: AnyPrediction
    """Prediction: what the network estimates, and the loss of it."""
    backbone: AnyBackbone
    """Backbone: the network."""
    sampler: AnySampler
    """Sampler: walks along the bridge from damaged to restored."""
    condition_on: tuple[str, ...] = ()
    """Names of the parameters of the damage on which the network is conditioned (default: none).
    Two constant planes of its condition hold the value of each, and whether it is known."""
    loudness_dbfs: FiniteFloat | None = Field(None, ge=-200, le=100)
    """Root-mean-square level in dBFS to which audio is scaled before encoding; decoding undoes it
    (default: levels are left as they are)."""
    steps: dict[str, Annotated[int, Field(ge=1, le=MAX_STEPS)]] = Field(default_factory=dict)
    """Number of network evaluations by task, for tasks that need another number than the sampler's
    own."""
