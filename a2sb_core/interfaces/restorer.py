"""Restorer: a whole system that restores audio; the models here, and baselines beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from a2sb_core.interfaces.component import Component


class AudioRestorer(Component, ABC):
    """Anything that takes damaged audio and gives restored audio.

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
        """Restore (C, T) audio; ``parameters`` as the corruption of ``task`` names them.

        Raises:
            TaskError: this restorer does not do the task.
        """

    def check(self) -> None:
        """Make sure that the restorer can run here.

        Raises:
            A2SBError: it can not, for want of a package; the message says how to install it.
        """
