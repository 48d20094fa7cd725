"""The abstract parts of a restoration system; everything concrete is a plugin."""

from a2sb_core.audio.bandwidth import CutoffEstimate, detect_cutoff
from a2sb_core.audio.damage import Finding, find_gaps
from a2sb_core.config.component import (
    AnyBackbone,
    AnyBridge,
    AnyCorruption,
    AnyMetric,
    AnyPrediction,
    AnyRepresentation,
    AnyRestorer,
    AnySampler,
    ComponentConfig,
    FrozenConfig,
)
from a2sb_core.errors import (
    A2SBError,
    AudioError,
    ConfigError,
    ModelError,
    PluginError,
    TaskError,
    TrainingError,
)
from a2sb_core.interfaces.backbone import Backbone
from a2sb_core.interfaces.bridge import Bridge, per_item
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.converter import Converted, Converter
from a2sb_core.interfaces.corruption import Corruption, MaskCorruption, WaveformCorruption
from a2sb_core.interfaces.metric import Metric, Outcome
from a2sb_core.interfaces.prediction import Denoiser, Network, Prediction
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.restorer import AudioRestorer
from a2sb_core.interfaces.sampler import (
    ENDLESS,
    Estimate,
    Frames,
    OnFrames,
    OnStep,
    Ranges,
    Sampler,
    SamplerStream,
    Step,
    StepSampler,
)
from a2sb_core.interfaces.types import Degraded, Gaussian, Grid, Item, Noise

__all__ = [
    "ENDLESS",
    "A2SBError",
    "AnyBackbone",
    "AnyBridge",
    "AnyCorruption",
    "AnyMetric",
    "AnyPrediction",
    "AnyRepresentation",
    "AnyRestorer",
    "AnySampler",
    "AudioError",
    "AudioRestorer",
    "Backbone",
    "Bridge",
    "Component",
    "ComponentConfig",
    "ConfigError",
    "Converted",
    "Converter",
    "Corruption",
    "CutoffEstimate",
    "Degraded",
    "Denoiser",
    "Estimate",
    "Finding",
    "Frames",
    "FrozenConfig",
    "Gaussian",
    "Grid",
    "Item",
    "MaskCorruption",
    "Metric",
    "ModelError",
    "Network",
    "Noise",
    "OnFrames",
    "OnStep",
    "Outcome",
    "PluginError",
    "Prediction",
    "Ranges",
    "Representation",
    "Sampler",
    "SamplerStream",
    "Step",
    "StepSampler",
    "TaskError",
    "TrainingError",
    "WaveformCorruption",
    "detect_cutoff",
    "find_gaps",
    "per_item",
]
