"""Configurations of whole models and of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from a2sb_core.config.component import (
    AnyBackbone,
    AnyBridge,
    AnyCorruption,
    AnyPrediction,
    AnyRepresentation,
    AnySampler,
    FrozenConfig,
)


class ModelConfig(FrozenConfig):
    """The whole composition of a restoration model."""

    representation: AnyRepresentation
    """Audio to the plane in which the bridge runs, and back."""
    corruption: AnyCorruption
    """The damage that is undone."""
    bridge: AnyBridge
    """The process between clean and damaged."""
    prediction: AnyPrediction
    """What the network is asked for."""
    backbone: AnyBackbone
    """The network."""
    sampler: AnySampler
    """How the bridge is walked."""
    loudness_dbfs: float | None = None
    """The root-mean-square level audio is brought to before encoding, and brought back from after
    decoding; None leaves levels alone."""
    steps: dict[str, int] = Field(default_factory=dict)
    """Network evaluations for tasks that want another number than the sampler's."""


class SourceConfig(FrozenConfig):
    """One of several sources of training audio, and the share of the segments drawn from it."""

    path: Path
    """A manifest or a folder of audio."""
    weight: float = Field(1.0, gt=0)
    """Its share, relative to the other sources'."""


class AugmentConfig(FrozenConfig):
    """Changes of training segments; all off by default, and validation has none."""

    semitones: float = Field(0.0, ge=0, le=12)
    """Largest random change of pitch and tempo, up or down."""
    mix: float = Field(0.0, ge=0, le=1)
    """Share of the segments that a second segment is added to."""
    mix_db: tuple[float, float] = (-12.0, 0.0)
    """Range of the second one's gain."""
    codec: float = Field(0.0, ge=0, le=1)
    """Share of the segments treated as a lossy codec would: a low-pass and 16 bits. The true
    bandwidth stays that of the file, so that the empty top of a spectrum is learned."""
    codec_hz: tuple[float, float] = (16_500.0, 20_000.0)
    """Range of that cutoff."""

    @model_validator(mode="after")
    def _check(self) -> AugmentConfig:
        for name in ("mix_db", "codec_hz"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: its range must ascend; got {low:g} to {high:g}")
        return self


class DataConfig(FrozenConfig):
    """Where training audio comes from and how segments are cut from it."""

    source: Path | None = None
    """A manifest (CSV with columns split, file_path, duration and optionally sample_rate, twice the
    file's true bandwidth, group, and level_dbfs, its root-mean-square level) or a folder of audio
    files."""
    sources: tuple[SourceConfig, ...] = ()
    """Several of them with weights, in place of ``source``; files of each are drawn by duration."""
    frames: int = Field(256, ge=1)
    """Representation frames of a segment."""
    group_weights: dict[str, float] = Field(default_factory=dict)
    """Share of the segments drawn from each group of the manifest ``source``; by default groups are
    ignored and files drawn by duration."""
    gain_db: float = Field(0.0, ge=0)
    """Random gain of a segment, plus or minus."""
    augment: AugmentConfig = AugmentConfig()
    """Further random changes of a segment."""
    validation_files: int = Field(4, ge=0)
    """Files set aside for validation in each source that is a folder."""
    workers: int = Field(1, ge=0)
    """Processes that read audio."""

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if (self.source is None) == (not self.sources):
            raise ValueError("give either `source` or `sources`: a manifest or folder, or several")
        if self.sources and self.group_weights:
            raise ValueError("group_weights goes with `source`; `sources` have their own weights")
        if len({source.path for source in self.sources}) < len(self.sources):
            raise ValueError("a path stands in `sources` twice: give it once, with all its weight")
        return self


class ValidationConfig(FrozenConfig):
    """What validation restores, measures and shows besides the loss."""

    tasks: tuple[str, ...] | None = None
    """Protocols as of ``a2sb evaluate``, such as ``bandwidth-4k`` and ``gap-300``; by default those
    of ``VALIDATION_TASKS`` that the model serves; none: nothing is restored."""
    metrics: tuple[str, ...] = ("lsd", "sispec")
    """Registered metrics, ``NAME`` or ``NAME(OPTION=VALUE,...)``."""
    clips: int = Field(2, ge=1)
    """So many validation files are restored, one stretch of each."""
    clip_s: float = Field(5.0, gt=0)
    """Length of that stretch in seconds; 5 hold one gap of ``gap-300``."""
    steps: int | None = Field(None, ge=1)
    """Network evaluations of the sampler; by default the model's own."""


VALIDATION_TASKS = ("bandwidth-4k", "gap-300")


class OptimizerConfig(FrozenConfig):
    """Optimizer and learning rate: linear warm-up, constant, linear decay to zero at the end."""

    kind: Literal["adamw", "radam"] = "radam"
    """The optimizer."""
    learning_rate: float = Field(8e-5, gt=0)
    """Between warm-up and decay; the paper: 8e-5."""
    weight_decay: float = Field(1e-8, ge=0)
    """Decoupled from the gradient."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the moving averages of the gradient and of its square."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises from zero."""
    decay: float = Field(0.0, ge=0, le=1)
    """Share of all steps over which the rate falls to zero at the end."""
    max_grad_norm: float = Field(0.5, gt=0)
    """Gradients are clipped to this norm; the paper: 0.5."""


class TimesConfig(FrozenConfig):
    """How the times of a bridge are drawn in training; the default is the paper's, uniformly."""

    kind: Literal["power", "log_normal", "by_loss"] = "power"
    """``power``: with a density that grows as t^bias; ``log_normal``: t/(1 - t) is log-normal;
    ``by_loss``: in proportion to the loss there has been at such times, each loss weighted by what
    it is drawn too often (after Nichol and Dhariwal 2021)."""
    bias: float = Field(0.0, ge=0)
    """Of ``power``; 0: uniform."""
    mean: float = 0.0
    """Of ``log_normal``: the mean of ln(t/(1 - t))."""
    std: float = Field(1.0, gt=0)
    """Of ``log_normal``: the deviation of ln(t/(1 - t))."""


class TrainConfig(FrozenConfig):
    """One training run."""

    model: ModelConfig
    """What is trained."""
    data: DataConfig
    """What it is trained on."""
    output: Path
    """The run's folder: checkpoints, TensorBoard log and, at the end, the model."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How weights are changed."""
    init_from: str | None = None
    """A model folder whose weights the run starts from (fine-tuning)."""
    steps: int = Field(gt=0)
    """Changes of the weights in all."""
    batch_size: int = Field(16, ge=1)
    """Segments in a step, over all processes and accumulated micro-batches."""
    accumulate: int = Field(1, ge=1)
    """Micro-batches in a step."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the network's forward and backward pass."""
    t_range: tuple[float, float] = (0.0, 1.0)
    """Times that are trained, for t-range experts (section 3.5)."""
    times: TimesConfig = TimesConfig()
    """How times are drawn from ``t_range``."""
    stft_weight: float = Field(0.0, ge=0)
    """Weight of a further term: the multi-resolution STFT distance between the audio of the
    estimated x0 and the clean audio."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Of the moving average of the weights, which is what the run brings forth."""
    seed: int = 0
    """Of all that is random in the run."""
    log_every: int = Field(20, ge=1)
    """Steps between entries of the TensorBoard log."""
    validate_every: int = Field(500, ge=1)
    """Steps between validations."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """So many of the newest stay."""
    statistics_segments: int = Field(64, ge=1)
    """Segments that the prediction learns its statistics from."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    deterministic: bool = False
    """On a GPU, choose algorithms that give the same bits every time, where there are any; a CPU
    always does."""
    validation: ValidationConfig = ValidationConfig()
    """What validation does besides measuring the loss."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        low, high = self.t_range
        if not 0 <= low < high <= 1:
            raise ValueError(f"t_range must have 0 <= low < high <= 1, got {low}, {high}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate {self.accumulate} must divide batch_size {self.batch_size}"
            )
        return self
