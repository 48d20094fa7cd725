"""Restorer: a complete system that restores audio, such as a baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from a2sb_core.interfaces.component import Component


class AudioRestorer(Component, ABC):
    """A complete system that takes damaged audio and returns restored audio.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import AudioRestorer, ComponentConfig
        >>> class Untouched(AudioRestorer):
        ...     class Config(ComponentConfig):
        ...         name: str = "untouched"
        ...     def restore_audio(self, wave, sample_rate, task, parameters):
        ...         return wave
        >>> Untouched.Config().build().restore_audio(torch.zeros(2, 9), 44100, "inpaint", {}).shape
        torch.Size([2, 9])
    """

    kind = "restorer"

    @abstractmethod
    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Restore audio (C, T), given the parameters of the corruption that serves ``task``.

        Raises:
            TaskError: the restorer does not support the task.
        """

    def check(self) -> None:
        """Check that the restorer can run in this environment.

        Raises:
            A2SBError: a package is missing; the message states how to install it.
        """
