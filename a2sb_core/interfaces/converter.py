"""Converter: brings models that others published into the terms of this framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from a2sb_core.interfaces.backbone import Backbone
from a2sb_core.interfaces.component import Component


@dataclass(frozen=True)
class Converted:
    """A published model: its network with weights, and its whole composition as a configuration."""

    backbone: Backbone
    model: dict[str, Any]


class Converter(Component, ABC):
    """Reads the checkpoints of one publication.

    Attributes:
        notice: what a user must be told of the licence of those weights.
        licence: a short name of that licence, for model cards.

    Example:
        >>> from a2sb_core.interfaces import ComponentConfig, Converter, ModelError
        >>> class Nothing(Converter):
        ...     notice = "These weights are in the public domain."
        ...     class Config(ComponentConfig):
        ...         name: str = "nothing"
        ...     def convert(self, sources):
        ...         raise ModelError(f"not understood: {', '.join(map(str, sources))}")
        >>> Nothing.Config().build().notice
        'These weights are in the public domain.'
    """

    kind = "converter"
    notice: ClassVar[str]
    licence: ClassVar[str] = ""

    @abstractmethod
    def convert(self, sources: Sequence[Path]) -> Converted:
        """Load checkpoint files.

        Raises:
            ModelError: a file is not understood; the message names it and what is wrong.
        """
