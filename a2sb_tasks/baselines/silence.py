"""The damaged audio itself: a baseline that every restorer should exceed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from a2sb_core.interfaces import AudioRestorer, ComponentConfig


class Silence(AudioRestorer):
    """Leaves missing content silent."""

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "silence"

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Return (C, T) audio unchanged."""
        return wave
