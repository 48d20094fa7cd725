"""Abstract classes of the component kinds, and the values they exchange."""

from a2sb_core.audio.arrays import FloatArray, as_numpy, as_wave, looks_finite
from a2sb_core.audio.resampling import resample
from a2sb_core.audio.stretches import Stretches, blank, sample_ranges
from a2sb_core.errors import (
    A2SBError,
    AudioError,
    ConfigError,
    ModelError,
    PluginError,
    TaskError,
    TrainingError,
)
from a2sb_core.interfaces.backbone import Backbone, MergingBackbone, WideningBackbone
from a2sb_core.interfaces.bridge import Bridge, per_item
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.converter import Converted, Converter
from a2sb_core.interfaces.corruption import (
    Corruption,
    MaskCorruption,
    WaveformCorruption,
    check_stretches,
)
from a2sb_core.interfaces.differentiable import Differentiable, Measurement, Operator
from a2sb_core.interfaces.finisher import BlockPair, Finisher, SampleQueue
from a2sb_core.interfaces.guess import Guess
from a2sb_core.interfaces.item import Degraded, Item
from a2sb_core.interfaces.loss import Loss, TrainingEstimate, mean_of
from a2sb_core.interfaces.metric import Metric, Outcome
from a2sb_core.interfaces.parameters import partly_known
from a2sb_core.interfaces.prediction import Denoiser, Network, Prediction
from a2sb_core.interfaces.protocol import Damaged, Protocol
from a2sb_core.interfaces.recording import Recording
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.restorer import AudioRestorer
from a2sb_core.interfaces.sampler import Estimate, OnStep, Sampler, Step, StepSampler
from a2sb_core.interfaces.state import State
from a2sb_core.interfaces.types import Gaussian, Grid, Marks, Noise
from a2sb_core.interfaces.windows import (
    ENDLESS,
    Frames,
    OnFrames,
    Ranges,
    SamplerStream,
    WindowSampler,
)
from a2sb_core.plugins.component_config import (
    AnyBackbone,
    AnyBridge,
    AnyCorruption,
    AnyGuess,
    AnyLoss,
    AnyMetric,
    AnyPrediction,
    AnyRepresentation,
    AnyRestorer,
    AnySampler,
    ComponentConfig,
    FrozenConfig,
)

__all__ = [
    "ENDLESS",
    "A2SBError",
    "AnyBackbone",
    "AnyBridge",
    "AnyCorruption",
    "AnyGuess",
    "AnyLoss",
    "AnyMetric",
    "AnyPrediction",
    "AnyRepresentation",
    "AnyRestorer",
    "AnySampler",
    "AudioError",
    "AudioRestorer",
    "Backbone",
    "BlockPair",
    "Bridge",
    "Component",
    "ComponentConfig",
    "ConfigError",
    "Converted",
    "Converter",
    "Corruption",
    "Damaged",
    "Degraded",
    "Denoiser",
    "Differentiable",
    "Estimate",
    "Finisher",
    "FloatArray",
    "Frames",
    "FrozenConfig",
    "Gaussian",
    "Grid",
    "Guess",
    "Item",
    "Loss",
    "Marks",
    "MaskCorruption",
    "Measurement",
    "MergingBackbone",
    "Metric",
    "ModelError",
    "Network",
    "Noise",
    "OnFrames",
    "OnStep",
    "Operator",
    "Outcome",
    "PluginError",
    "Prediction",
    "Protocol",
    "Ranges",
    "Recording",
    "Representation",
    "SampleQueue",
    "Sampler",
    "SamplerStream",
    "State",
    "Step",
    "StepSampler",
    "Stretches",
    "TaskError",
    "TrainingError",
    "TrainingEstimate",
    "WaveformCorruption",
    "WideningBackbone",
    "WindowSampler",
    "as_numpy",
    "as_wave",
    "blank",
    "check_stretches",
    "looks_finite",
    "mean_of",
    "partly_known",
    "per_item",
    "resample",
    "sample_ranges",
]
