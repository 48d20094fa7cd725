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
    """The whole composition of a restoration model.

    Attributes:
        loudness_dbfs: the root-mean-square level audio is brought to before encoding, and brought
            back from after decoding; None leaves levels alone.
        steps: network evaluations for tasks that want another number than the sampler's.
    """

    representation: AnyRepresentation
    corruption: AnyCorruption
    bridge: AnyBridge
    prediction: AnyPrediction
    backbone: AnyBackbone
    sampler: AnySampler
    loudness_dbfs: float | None = None
    steps: dict[str, int] = Field(default_factory=dict)


class SourceConfig(FrozenConfig):
    """One of several sources of training audio, and the share of the segments drawn from it."""

    path: Path
    weight: float = Field(1.0, gt=0)


class AugmentConfig(FrozenConfig):
    """Changes of training segments; all off by default, and validation has none.

    Attributes:
        semitones: largest random change of pitch and tempo, up or down.
        mix: share of the segments that a second segment is added to.
        mix_db: range of the second one's gain.
        codec: share of the segments treated as a lossy codec would: a low-pass and 16 bits. The
            true bandwidth stays that of the file, so that the empty top of a spectrum is learned.
        codec_hz: range of that cutoff.
    """

    semitones: float = Field(0.0, ge=0, le=12)
    mix: float = Field(0.0, ge=0, le=1)
    mix_db: tuple[float, float] = (-12.0, 0.0)
    codec: float = Field(0.0, ge=0, le=1)
    codec_hz: tuple[float, float] = (16_500.0, 20_000.0)

    @model_validator(mode="after")
    def _check(self) -> AugmentConfig:
        for name in ("mix_db", "codec_hz"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: its range must ascend; got {low:g} to {high:g}")
        return self


class DataConfig(FrozenConfig):
    """Where training audio comes from and how segments are cut from it.

    Attributes:
        source: a manifest (CSV with columns split, file_path, duration and optionally sample_rate,
            twice the file's true bandwidth, group, and level_dbfs, its root-mean-square level) or
            a folder of audio files.
        sources: several of them with weights, in place of ``source``; files of each are drawn by
            duration.
        frames: representation frames of a segment.
        group_weights: share of the segments drawn from each group of the manifest ``source``; by
            default groups are ignored and files drawn by duration.
        gain_db: random gain of a segment, plus or minus.
        augment: further random changes of a segment.
        validation_files: files set aside for validation in each source that is a folder.
        workers: processes that read audio.
    """

    source: Path | None = None
    sources: tuple[SourceConfig, ...] = ()
    frames: int = Field(256, ge=1)
    group_weights: dict[str, float] = Field(default_factory=dict)
    gain_db: float = Field(0.0, ge=0)
    augment: AugmentConfig = AugmentConfig()
    validation_files: int = Field(4, ge=0)
    workers: int = Field(1, ge=0)

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
    """What validation restores, measures and shows besides the loss.

    Attributes:
        tasks: protocols as of ``a2sb evaluate``, such as ``bandwidth-4k`` and ``gap-300``; by
            default those of ``VALIDATION_TASKS`` that the model serves; none: nothing is restored.
        metrics: registered metrics, ``NAME`` or ``NAME(OPTION=VALUE,...)``.
        clips: so many validation files are restored, one stretch of each.
        clip_s: length of that stretch in seconds; 5 hold one gap of ``gap-300``.
        steps: network evaluations of the sampler; by default the model's own.
    """

    tasks: tuple[str, ...] | None = None
    metrics: tuple[str, ...] = ("lsd", "sispec")
    clips: int = Field(2, ge=1)
    clip_s: float = Field(5.0, gt=0)
    steps: int | None = Field(None, ge=1)


VALIDATION_TASKS = ("bandwidth-4k", "gap-300")


class OptimizerConfig(FrozenConfig):
    """Optimizer and learning rate: linear warm-up, constant, linear decay to zero at the end.

    Attributes:
        decay: share of all steps over which the rate falls to zero at the end.
        max_grad_norm: gradients are clipped to this norm; the paper: 0.5.
    """

    kind: Literal["adamw", "radam"] = "radam"
    learning_rate: float = Field(8e-5, gt=0)
    weight_decay: float = Field(1e-8, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = Field(0, ge=0)
    decay: float = Field(0.0, ge=0, le=1)
    max_grad_norm: float = Field(0.5, gt=0)


class TrainConfig(FrozenConfig):
    """One training run.

    Attributes:
        output: the run's folder: checkpoints, TensorBoard log and, at the end, the model.
        init_from: a model folder whose weights the run starts from (fine-tuning).
        t_range: times that are trained, for t-range experts (section 3.5).
        t_bias: 0 draws t uniformly; k > 0 with a density that grows as t^k.
        batch_size: segments in a step, over all processes and accumulated micro-batches.
        accumulate: micro-batches in a step.
        precision: of the network's forward and backward pass.
        ema_decay: of the moving average of the weights, which is what the run brings forth.
        validate_every: steps between validations.
        keep_checkpoints: so many of the newest stay.
        statistics_segments: segments that the prediction learns its statistics from.
        deterministic: on a GPU, choose algorithms that give the same bits every time, where there
            are any; a CPU always does.
    """

    model: ModelConfig
    data: DataConfig
    output: Path
    optimizer: OptimizerConfig = OptimizerConfig()
    init_from: str | None = None
    steps: int = Field(gt=0)
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    t_range: tuple[float, float] = (0.0, 1.0)
    t_bias: float = Field(0.0, ge=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    seed: int = 0
    log_every: int = Field(20, ge=1)
    validate_every: int = Field(500, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    statistics_segments: int = Field(64, ge=1)
    device: str = "auto"
    deterministic: bool = False
    validation: ValidationConfig = ValidationConfig()

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
