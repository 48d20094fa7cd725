"""Options of a restoration and of the file that it writes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from a2sb_core.audio.choices import BitDepth, ClipMode, Stereo
from a2sb_core.audio.formats import DEPTHS, KEEP
from a2sb_core.common.limits import LOUDEST_DB, MAX_STEPS, SOFTEST_DB
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.restoration.stereo import check_stereo_name

LOWEST_DBFS = -120.0
"""Lowest level that a user may state; quieter audio is silence."""


@dataclass(frozen=True)
class RestoreOptions:
    """The task, the damage, and the settings of a restoration.

    Attributes:
        task: task of the model; ``a2sb models`` lists the tasks.
        damage: known parameters of the damage, by the names of the corruption's ``Parameters``;
            empty to find the damage.
        steps: number of network evaluations for each window; None for the model's default.
        seed: seed of the noise; the same seed gives the same result.
        output_rate: sample rate of the result in Hz; None for that of the input, or the rate that
            the task needs.
        stereo: channels that are restored: ``lr`` (left and right), ``ms`` (middle and side of two
            channels, converted back afterwards) or ``mono`` (their mean; the result has one
            channel).
        amount: share of the change that the result contains, from 0 (the input, at the sample rate
            of the result) to 1 (all of it).
        level_db: gain of the change in dB, from -40 to 20: how much louder or softer everything
            that the restoration adds is than the model made it.
        level_dbfs: root-mean-square level of the undamaged audio, in dB relative to full scale;
            None to measure it. State it for a stream whose beginning is not typical.

    Raises:
        TaskError: a value is invalid.
    """

    task: str
    damage: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0
    output_rate: int | None = None
    stereo: Stereo = "lr"
    amount: float = 1.0
    level_dbfs: float | None = None
    level_db: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise TaskError(f"steps must be from 1 to {MAX_STEPS}, got {self.steps}")
        if self.output_rate is not None and self.output_rate < 1:
            raise TaskError(f"output_rate must be a rate in Hz, got {self.output_rate}")
        if not 0 <= self.amount <= 1:
            raise TaskError(f"amount must be from 0 to 1, got {self.amount:g}")
        if not SOFTEST_DB <= self.level_db <= LOUDEST_DB:
            raise TaskError(
                f"level_db must be from {SOFTEST_DB:g} to {LOUDEST_DB:g} dB, got {self.level_db:g}"
            )
        if self.level_dbfs is not None and not LOWEST_DBFS <= self.level_dbfs <= 0:
            raise TaskError(
                f"level_dbfs must be from {LOWEST_DBFS:g} to 0 dBFS, got {self.level_dbfs:g}"
            )
        check_stereo_name(self.stereo)

    @property
    def change_gain(self) -> float:
        """Factor of the change in the result."""
        return float(self.amount * 10 ** (self.level_db / 20))

    @classmethod
    def chosen(cls, options: RestoreOptions | None, keywords: dict[str, Any]) -> RestoreOptions:
        """Return the given options, or those made from keywords.

        Raises:
            TaskError: both are given.
        """
        if options is None:
            return cls.of(**keywords)
        if keywords:
            names = ", ".join(sorted(keywords))
            raise TaskError(f"give either options or keywords, not both: {names}")
        return options

    @classmethod
    def of(cls, **values: Any) -> RestoreOptions:
        """Create options from keywords; a keyword that is no option describes the damage."""
        if "parameters" in values:
            warnings.warn(
                "`parameters` is now `damage`, or one keyword for each parameter",
                DeprecationWarning,
                stacklevel=4,
            )
            values = dict(values.pop("parameters") or {}) | values
        names = {one.name for one in fields(cls)}
        options = {name: value for name, value in values.items() if name in names}
        damage = dict(options.pop("damage", {}))
        damage |= {name: value for name, value in values.items() if name not in names}
        if "task" not in options:
            raise TaskError("the task is missing: specify task=...")
        known = {name: value for name, value in damage.items() if value is not None}
        return cls(damage=known, **options)


@dataclass(frozen=True)
class WriteOptions:
    """Settings of the output file.

    Attributes:
        bit_depth: bits of a sample: ``keep`` (those of the source, if the format of the target
            supports them), ``16``, ``24``, ``32`` or ``float``.
        clip_mode: treatment of a result that exceeds full scale: ``clamp``, ``rescale`` or
            ``none``.
        overwrite: whether an existing target may be replaced.
        resume: continue an interrupted run with the same settings; the result is the same.

    Raises:
        AudioError: a value is unknown.
    """

    bit_depth: BitDepth = "keep"
    clip_mode: ClipMode = "clamp"
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value, known in (
            ("bit depth", self.bit_depth, get_args(BitDepth)),
            ("clip mode", self.clip_mode, get_args(ClipMode)),
        ):
            if value not in known:
                raise AudioError(f"unknown {name} `{value}`; use one of {', '.join(known)}")

    @property
    def subtype(self) -> str:
        """Name of the bit depth in libsndfile, or ``keep``."""
        return DEPTHS.get(self.bit_depth, KEEP)

    @classmethod
    def split(cls, values: dict[str, Any]) -> tuple[WriteOptions, dict[str, Any]]:
        """Return the write options among keywords, and the other keywords."""
        names = {one.name for one in fields(cls)}
        own = {name: value for name, value in values.items() if name in names}
        return cls(**own), {name: values[name] for name in values.keys() - own.keys()}
