"""Protocol: how clean audio is damaged to compare restorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Marks


@dataclass(frozen=True)
class Damaged:
    """A damaged clip.

    Attributes:
        wave: the damaged audio, (C, T).
        parameters: description of the damage that the restorers receive, by the names of the
            corruption that serves the task.
        marks: place of the damage, for pictures and for statistics of the damaged part.
        clean: the clean audio (C, T), which models read in place of ``wave`` except for the content
            that their mask calls missing; None: models read ``wave``.
    """

    wave: Tensor
    parameters: Mapping[str, Any]
    marks: Marks = field(default_factory=Marks)
    clean: Tensor | None = None


class Protocol(Component, ABC):
    """A family of damage that evaluations apply to clean audio.

    Users name a member of the family by the registered name, a hyphen and an argument that the
    family parses: ``mute-100`` is the family ``mute`` with the argument ``100``.

    Attributes:
        task: task of the restorers.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, ConfigError, Damaged, Protocol, blank
        >>> class Mute(Protocol):
        ...     '''The first milliseconds are silent.'''
        ...     task = "inpaint"
        ...     class Config(ComponentConfig):
        ...         name: str = "mute"
        ...         gap_s: float = 0.1
        ...     @classmethod
        ...     def parse(cls, text):
        ...         if not text.isdecimal():
        ...             raise ConfigError("expected a number of milliseconds, such as `100`")
        ...         return cls.Config(gap_s=int(text) / 1000).build()
        ...     def damage(self, wave, sample_rate, generator):
        ...         gaps_s = ((0.0, self.config.gap_s),)
        ...         return Damaged(blank(wave, gaps_s, sample_rate), {"gaps_s": gaps_s})
        >>> damaged = Mute.parse("250").damage(torch.ones(1, 8), 16, torch.Generator())
        >>> damaged.wave
        tensor([[0., 0., 0., 0., 1., 1., 1., 1.]])
    """

    kind = "protocol"
    task: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Return the protocol for an argument, which is empty if the user wrote no hyphen.

        Raises:
            ConfigError: the argument is malformed; the message states what is expected.
        """

    @abstractmethod
    def damage(self, wave: Tensor, sample_rate: int, generator: torch.Generator) -> Damaged:
        """Damage clean audio (C, T); the result has the same shape and sample rate (Hz).

        Everything random is drawn from ``generator``.

        Raises:
            TaskError: the clip is too short, or its sample rate too low.
        """

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the damage depends on, as JSON values."""
        fields = self.config.model_dump(mode="json")
        return {"protocol": fields.pop("name"), **fields}
