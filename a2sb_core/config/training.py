"""Configuration of training runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from a2sb_core.config.defaults import DEFAULT_LOSS, EARLIER_STFT_LOSS
from a2sb_core.config.model import ModelConfig
from a2sb_core.plugins.component_config import AnyLoss, FrozenConfig


class SourceConfig(FrozenConfig):
    """One of several sources of training audio."""

    path: Path
    """Path of a manifest or of a folder of audio files."""
    weight: float = Field(1.0, gt=0)
    """Share of the segments drawn from this source, relative to the other sources (default: 1)."""


class AugmentConfig(FrozenConfig):
    """Random changes of training segments. All are off by default; validation never uses them."""

    semitones: float = Field(0.0, ge=0, le=12)
    """Largest change of pitch and tempo, up or down, in semitones (default: 0, no change)."""
    mix: float = Field(0.0, ge=0, le=1)
    """Share of the segments to which a second segment is added (default: 0)."""
    mix_db: tuple[float, float] = (-12.0, 0.0)
    """Range of the gain of the second segment, in dB (default: -12 to 0)."""
    codec: float = Field(0.0, ge=0, le=1)
    """Share of the segments changed as a lossy codec would: a low-pass and 16 bits (default: 0).
    Their true bandwidth stays that of the file, so that the model learns spectra whose top is
    empty."""
    codec_hz: tuple[float, float] = (16_500.0, 20_000.0)
    """Range of the cutoff of that low-pass, in Hz (default: 16500 to 20000)."""

    @model_validator(mode="after")
    def _check(self) -> AugmentConfig:
        for name in ("mix_db", "codec_hz"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: its range must ascend; got {low:g} to {high:g}")
        return self


class DataConfig(FrozenConfig):
    """Sources of the training audio, and how segments are cut from it."""

    source: Path | None = None
    """Path of a manifest or of a folder of audio files. A manifest is a CSV file with the columns
    split, file_path and duration (in seconds), and optionally sample_rate (twice the true bandwidth
    of the file, in Hz), group, and level_dbfs (root-mean-square level of the file)."""
    sources: tuple[SourceConfig, ...] = ()
    """Several sources with weights, in place of ``source``. Files of each are drawn by duration."""
    frames: int = Field(256, ge=1)
    """Length of a segment, in frames of the representation (default: 256)."""
    context_s: FiniteFloat | None = Field(None, ge=0)
    """Most audio that is read on each side of a segment for the guess of a corruption, in seconds
    (default: all that the guess uses in a restoration)."""
    group_weights: dict[str, float] = Field(default_factory=dict)
    """Relative share of the segments drawn from each group of the manifest ``source`` (default:
    groups are ignored, and files are drawn by duration)."""
    gain_db: float = Field(0.0, ge=0)
    """Largest random gain of a segment, up or down, in dB (default: 0)."""
    augment: AugmentConfig = AugmentConfig()
    """Further random changes of segments (default: none)."""
    validation_files: int = Field(4, ge=0)
    """Number of files that are set aside for validation in each folder (default: 4). Manifests name
    their validation files themselves."""
    workers: int = Field(1, ge=0)
    """Number of processes that read audio (default: 1); 0 reads it in the training process."""

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if (self.source is None) == (not self.sources):
            raise ValueError("give either `source` or `sources`: a manifest or folder, or several")
        if self.sources and self.group_weights:
            raise ValueError("group_weights goes with `source`; `sources` have their own weights")
        if len({source.path for source in self.sources}) < len(self.sources):
            raise ValueError("`sources` names a path twice: give it once, with all of its weight")
        return self


class ValidationConfig(FrozenConfig):
    """Clips that validation restores, measures and shows, in addition to the loss."""

    tasks: tuple[str, ...] | None = None
    """Protocols as in ``a2sb evaluate``, such as ``bandwidth-4k`` and ``gap-300`` (default: typical
    protocols of the tasks that the model serves). An empty list restores nothing."""
    metrics: tuple[str, ...] = ("lsd", "sispec")
    """Registered metrics, each ``NAME`` or ``NAME(OPTION=VALUE,...)`` (default: lsd and sispec)."""
    clips: int = Field(2, ge=1)
    """Number of validation files that are restored, one stretch of each (default: 2)."""
    clip_s: float = Field(5.0, gt=0)
    """Length of that stretch, in seconds (default: 5, which holds one gap of ``gap-300``)."""
    steps: int | None = Field(None, ge=1)
    """Number of network evaluations of the sampler (default: that of the model)."""


class OptimizerConfig(FrozenConfig):
    """Optimizer and learning rate: linear warm-up, constant, linear decay to zero at the end."""

    kind: Literal["adamw", "radam", "muon"] = "radam"
    """Optimizer: ``adamw``, ``radam`` (default), or ``muon``, which orthogonalizes the updates of
    matrices and kernels and is AdamW for the other weights."""
    learning_rate: float = Field(8e-5, gt=0)
    """Learning rate between warm-up and decay (default: 8e-5, as in the paper)."""
    weight_decay: float = Field(1e-8, ge=0)
    """Weight decay, decoupled from the gradient (default: 1e-8)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the moving averages of the gradient and of its square (default: 0.9 and 0.999)."""
    warmup_steps: int = Field(0, ge=0)
    """Number of steps in which the learning rate rises from zero (default: 0)."""
    decay: float = Field(0.0, ge=0, le=1)
    """Share of all steps, at the end, in which the learning rate falls to zero (default: 0)."""
    max_grad_norm: float = Field(0.5, gt=0)
    """Norm to which gradients are clipped (default: 0.5, as in the paper)."""


class WeightedLoss(FrozenConfig):
    """A term of the objective."""

    loss: AnyLoss
    """Loss of the term."""
    weight: FiniteFloat = Field(1.0, ge=0)
    """Weight of the term (default: 1)."""
    max_t: float = Field(1.0, gt=0, le=1)
    """Largest time t of the items that the term applies to (default: 1, all items). Near t = 1 the
    estimate is a mean over all possible results, which need not sound like one of them."""


class CriticConfig(FrozenConfig):
    """Optimizer (AdamW) of the parameters that losses have themselves."""

    learning_rate: float = Field(2e-4, gt=0)
    """Learning rate (default: 2e-4)."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Decay of the moving averages of the gradient and of its square (default: 0.5 and 0.9)."""


class TimesConfig(FrozenConfig):
    """Distribution of the times of the bridge in training (default: uniform, as in the paper)."""

    kind: Literal["power", "log_normal", "by_loss"] = "power"
    """Kind of distribution (default: power). ``power``: the density grows as t^bias.
    ``log_normal``: t/(1 - t) is log-normal. ``by_loss``: the density is proportional to the past
    loss at such times, and each loss is weighted to compensate (Nichol and Dhariwal 2021)."""
    bias: float = Field(0.0, ge=0)
    """Exponent of ``power`` (default: 0, which is uniform)."""
    mean: float = 0.0
    """Mean of ln(t/(1 - t)) of ``log_normal`` (default: 0)."""
    std: float = Field(1.0, gt=0)
    """Standard deviation of ln(t/(1 - t)) of ``log_normal`` (default: 1)."""


class TrainConfig(FrozenConfig):
    """Configuration of one training run."""

    model: ModelConfig
    """Model that is trained."""
    data: DataConfig
    """Training and validation data."""
    output: Path
    """Folder of the run: checkpoints, TensorBoard log and, at the end, the model."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and learning rate."""
    init_from: str | None = None
    """Model whose weights the run starts from, for fine-tuning (default: random weights). Its
    network may have fewer channels of the condition than this one (`tell` of the prediction)."""
    steps: int = Field(gt=0)
    """Number of optimizer steps of the whole run."""
    batch_size: int = Field(16, ge=1)
    """Number of segments in a step, over all processes and micro-batches (default: 16)."""
    accumulate: int = Field(1, ge=1)
    """Number of micro-batches in a step, whose gradients are accumulated (default: 1)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the network's forward and backward pass: ``fp32``, ``bf16`` or ``auto``
    (default), which is bf16 where the device is measured to compute faster in it, and fp32
    elsewhere. A resumed run keeps what ``auto`` chose."""
    t_range: tuple[float, float] = (0.0, 1.0)
    """Range of the times that are trained (default: 0 to 1); smaller ranges make the experts of
    section 3.5 of the paper."""
    times: TimesConfig = TimesConfig()
    """Distribution of the times within ``t_range``."""
    condition_dropout: float = Field(0.3, ge=0, le=1)
    """Probability with which a parameter in ``model.condition_on`` is hidden from the network, so
    that it learns to restore without it (default: 0.3)."""
    objective: tuple[WeightedLoss, ...] = Field(
        default_factory=lambda: (WeightedLoss.model_validate({"loss": DEFAULT_LOSS}),),
        min_length=1,
        max_length=32,
    )
    """Weighted terms of the objective (default: the error of the prediction, as in the paper)."""
    critic: CriticConfig = CriticConfig()
    """Optimizer of losses with parameters of their own, such as ``critic``."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the exponential moving average (EMA) of the weights (default: 0.999). The run saves
    the averaged weights."""
    seed: int = 0
    """Random seed of the run (default: 0)."""
    log_every: int = Field(20, ge=1)
    """Number of steps between entries of the TensorBoard log (default: 20)."""
    validate_every: int = Field(500, ge=1)
    """Number of steps between validations (default: 500)."""
    checkpoint_every: int = Field(500, ge=1)
    """Number of steps between checkpoints (default: 500)."""
    keep_checkpoints: int = Field(2, ge=1)
    """Number of checkpoints that are kept, the newest ones (default: 2)."""
    statistics_segments: int = Field(64, ge=1)
    """Number of segments to which the prediction's statistics are fitted (default: 64)."""
    device: str = "auto"
    """Device: ``auto`` (default), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    deterministic: bool = False
    """Whether a GPU uses deterministic algorithms where there are any (default: false); a CPU
    always does."""
    validation: ValidationConfig = ValidationConfig()
    """Restored clips and metrics of validation, in addition to the loss."""

    @model_validator(mode="before")
    @classmethod
    def _take_earlier_fields(cls, fields: Any) -> Any:
        """Accept ``stft_weight``, which was a field before there were terms."""
        if not isinstance(fields, dict) or "stft_weight" not in fields:
            return fields
        weight = fields["stft_weight"]
        rest = {name: value for name, value in fields.items() if name != "stft_weight"}
        if weight == 0:
            return rest
        terms = [{"loss": DEFAULT_LOSS}, {"loss": EARLIER_STFT_LOSS, "weight": weight}]
        if "objective" in rest:
            raise ValueError(
                f"stft_weight: add the loss `{EARLIER_STFT_LOSS}` to `objective` instead"
            )
        warnings.warn(
            "`stft_weight` is now a term of the objective: write `objective: [{loss: prediction}, "
            f"{{loss: {EARLIER_STFT_LOSS}, weight: {weight}}}]`",
            FutureWarning,
            stacklevel=2,
        )
        return rest | {"objective": terms}

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
