"""The damaged audio itself: the least that any restorer must better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from a2sb_core.interfaces import AudioRestorer, ComponentConfig


class Silence(AudioRestorer):
    """Leaves silence where content is missing."""

    class Config(ComponentConfig):
        """No settings."""

        name: str = "silence"

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Return (C, T) audio as it is."""
        return wave
