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


class DataConfig(FrozenConfig):
    """Where training audio comes from and how segments are cut from it.

    Attributes:
        source: a manifest (CSV with columns split, file_path, duration and optionally sample_rate,
            twice the file's true bandwidth, and group) or a folder of audio files.
        frames: representation frames of a segment.
        group_weights: share of the segments drawn from each group of the manifest; by default
            groups are ignored and files drawn by duration.
        gain_db: random gain of a segment, plus or minus.
        validation_files: files set aside for validation when ``source`` is a folder.
        workers: processes that read audio.
    """

    source: Path
    frames: int = Field(256, ge=1)
    group_weights: dict[str, float] = Field(default_factory=dict)
    gain_db: float = Field(0.0, ge=0)
    validation_files: int = Field(4, ge=0)
    workers: int = Field(1, ge=0)


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
