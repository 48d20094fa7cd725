"""Converter: turns checkpoints that others published into models of this framework."""

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
    """A converted model: its network with weights, and the configuration of the whole model."""

    backbone: Backbone
    model: dict[str, Any]


class Converter(Component, ABC):
    """Converts the checkpoints of one publication.

    Attributes:
        notice: text about the licence of the weights, which users must see.
        licence: short name of that licence, for model cards.

    Example:
        >>> from a2sb_core.interfaces import ComponentConfig, Converter, ModelError
        >>> class Nothing(Converter):
        ...     notice = "These weights are in the public domain."
        ...     class Config(ComponentConfig):
        ...         name: str = "nothing"
        ...     def convert(self, sources):
        ...         raise ModelError(f"unknown format: {', '.join(map(str, sources))}")
        >>> Nothing.Config().build().notice
        'These weights are in the public domain.'
    """

    kind = "converter"
    notice: ClassVar[str]
    licence: ClassVar[str] = ""

    @abstractmethod
    def convert(self, sources: Sequence[Path]) -> Converted:
        """Convert checkpoint files.

        Raises:
            ModelError: a file cannot be converted; the message states the file and the reason.
        """
