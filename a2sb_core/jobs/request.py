"""Request of a restoration, as clients state it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from a2sb_core.audio.choices import AudioFormat, Stereo
from a2sb_core.errors import TaskError
from a2sb_core.jobs.limits import Limits

if TYPE_CHECKING:
    from a2sb_core.restoration.options import RestoreOptions


class RestoreRequest(BaseModel):
    """Settings of the restoration of a recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    task: str
    """Task of the model."""
    model: str | None = None
    """Name of the model; null for that of the server."""
    damage: dict[str, Any] = {}
    """Known parameters of the damage, such as `{"cutoff_hz": 4000}`; empty to find the damage."""
    steps: int | None = None
    """Number of network evaluations for each window; null for the model's default."""
    seed: int = 0
    """Seed of the noise; the same seed gives the same result."""
    format: AudioFormat | None = None
    """Format of the result; null for that of the recording."""
    stereo: Stereo = "lr"
    """Channels that are restored: `lr` (left and right), `ms` (middle and side) or `mono`."""
    level_db: float = 0.0
    """Gain in dB of what the restoration adds."""

    def options(self) -> RestoreOptions:
        """Return the options of the restoration.

        Raises:
            TaskError: a value is invalid.
        """
        from a2sb_core.restoration.options import RestoreOptions  # imports torch

        return RestoreOptions(
            self.task,
            self.damage,
            self.steps,
            self.seed,
            stereo=self.stereo,
            level_db=self.level_db,
        )

    def check(self, limits: Limits) -> None:
        """Check the values before the work.

        Raises:
            TaskError: a value is invalid, or there are more steps than the server allows.
        """
        if self.steps is not None and self.steps > limits.steps:
            raise TaskError(
                f"{self.steps} steps exceed the limit of this server, which is {limits.steps}"
            )
        self.options()
