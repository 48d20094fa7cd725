"""Corruption: what is done to clean audio in training, and found missing in damaged audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from a2sb_core.config.component import ComponentConfig, FrozenConfig
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.types import Degraded, Grid, Item, Noise

Stretches = tuple[tuple[float, float], ...]


class Corruption(Component, ABC):
    """A kind of damage, in Hz and seconds.

    ``Parameters`` (a nested frozen configuration) describes one damage, drawn at random in training
    and given by the user, or found by :meth:`detect`, in restoration.

    Most authors derive from :class:`MaskCorruption` or :class:`WaveformCorruption` and write one
    method.

    Attributes:
        task: the name under which a user asks for the restoration (``--task``).
        ranges: between which values :meth:`draw` draws each parameter, inclusive.
        looks_at_original: :meth:`detect` and :meth:`settle` are given the recording at its own
            sample rate, not at the model's: resampling would hide what they look for.
        looks_at_all: :meth:`detect` needs the whole recording, samples that are NaN included; so
            the damage of a pipe must be given.

    Example:
        >>> from a2sb_core.interfaces import ComponentConfig, FrozenConfig, MaskCorruption
        >>> class Notch(MaskCorruption):
        ...     '''An octave that is missing.'''
        ...     task = "notch"
        ...     ranges = {"low_hz": (100, 5000)}
        ...     class Config(ComponentConfig):
        ...         name: str = "notch"
        ...     class Parameters(FrozenConfig):
        ...         low_hz: float
        ...     def missing(self, grid, parameters):
        ...         low = parameters.low_hz
        ...         rows = (grid.freqs_hz >= low) & (grid.freqs_hz < 2 * low)
        ...         return rows[:, None].expand(grid.shape)
        >>> import torch
        >>> notch = Notch.Config().build()
        >>> notch.draw(1.0, torch.Generator().manual_seed(0))
        Parameters(low_hz=2531.657290458679)
    """

    kind = "corruption"
    task: ClassVar[str]
    looks_at_original: ClassVar[bool] = False
    looks_at_all: ClassVar[bool] = False
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    Parameters: type[FrozenConfig]

    def draw(self, duration_s: float, generator: torch.Generator) -> Any:
        """Draw ``Parameters`` for a training item of ``duration_s`` seconds.

        By default uniformly within ``ranges``; what is not there keeps its default.

        Raises:
            ConfigError: a parameter has neither a range nor a default.
        """
        fields = self.Parameters.model_fields
        for name in fields.keys() - self.ranges.keys():
            if fields[name].is_required():
                raise ConfigError(
                    f"the corruption `{self.config.name}` does not say how `{name}` is drawn: put "
                    "it into `ranges`, or write `draw`"
                )
        drawn = {}
        for name, (low, high) in self.ranges.items():
            drawn[name] = low + (high - low) * float(torch.rand((), generator=generator))
        return self.Parameters(**drawn)

    @abstractmethod
    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Apply the damage to a clean item."""

    @abstractmethod
    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Describe an item that is really damaged so; looks at observed content only."""

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Find the damage in audio: ``Parameters``, or None where there is none.

        ``blocks`` (C, n) follow one another; a recording may be longer than memory.

        Raises:
            TaskError: this corruption can not be found from the audio alone.
        """
        raise TaskError(
            f"the task `{self.task}` can not find the damage by itself; "
            f"give it: {', '.join(self.Parameters.model_fields)}"
        )

    def settle(self, parameters: Any, blocks: Iterable[Tensor], sample_rate: int) -> Any:
        """Sharpen parameters by a look at the damaged audio, in blocks; default: as they are."""
        return parameters

    def reconcile(self, restored: Tensor, damaged: Tensor, parameters: Any) -> Tensor:
        """Put back what the damaged audio says for certain; default: nothing.

        Args:
            restored: (C, n), any stretch of the result.
            damaged: (C, n), the same stretch of the recording, at the rate of the result.
            parameters: as :meth:`settle` returned them.

        Returns:
            (C, n), sample by sample: what it says of one does not depend on the others.
        """
        return restored

    def polish(
        self, blocks: Iterable[Tensor], parameters: Any, sample_rate: int, first: int = 0
    ) -> Iterator[Tensor]:
        """Work on the restored recording, after the model; default: leave it as it is.

        Args:
            blocks: the result (C, n), block by block, from sample ``first``.
            parameters: as :meth:`settle` returned them.
            sample_rate: of the result, Hz.
            first: what :meth:`polish_from` returned.

        Yields:
            the recording, in any blocks; it has as many samples, and the same ones outside of
            :meth:`stretches`.
        """
        yield from blocks

    def polish_from(self, parameters: Any, sample_rate: int, sample: int) -> int:
        """Return from which sample :meth:`polish` must see a recording to make ``sample`` right."""
        return sample

    def check(self, parameters: Any, duration_s: float, sample_rate: int) -> None:
        """Refuse parameters that do not lie within audio of that length and rate.

        Raises:
            TaskError: they do not.
        """

    def stretches(self, parameters: Any) -> Stretches | None:
        """Return the damaged stretches (start, end) of time, in seconds; None: anywhere."""
        return None

    def for_task(self, task: str) -> Corruption:
        """Return the corruption that serves ``task``: this one, or one it is made of.

        Raises:
            TaskError: the task is not served; the message lists those that are.
        """
        if task not in self.tasks():
            raise TaskError(
                f"this model can not do the task `{task}`; it can do: {', '.join(self.tasks())}"
            )
        return self

    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that :meth:`for_task` accepts."""
        return (self.task,)


class MaskCorruption(Corruption):
    """Content that is missing in some rows and frames, everything else untouched.

    Equation (8): X1 = X0 where nothing is missing, N(0, sigma_M^2) noise elsewhere.
    """

    class Config(ComponentConfig):
        """The noise in place of what is missing."""

        fill_std: float = 0.5
        """Its level sigma_M of (8)."""

    @abstractmethod
    def missing(self, grid: Grid, parameters: Any) -> Tensor:
        """Return a boolean (F, W), True where content is missing."""

    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Replace what is missing by noise, (8)."""
        missing = self.missing(item.grid, parameters).to(item.z.device)[None, None]
        fill = getattr(self.config, "fill_std", 0.5) * item.draw(noise)
        return Degraded(torch.where(missing, fill.to(item.z.dtype), item.z), missing)

    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Replace what is missing by noise: what stands there is never looked at."""
        return self.degrade(item, parameters, noise)


class WaveformCorruption(Corruption):
    """Damage to the waveform itself that may change everything (noise, clipping and the like).

    The bridge then starts from the damaged signal, and ``missing`` is None.
    """

    @abstractmethod
    def apply(self, wave: Tensor, parameters: Any, noise: Noise, sample_rate: int) -> Tensor:
        """Damage clean audio (B, T) of that rate in Hz; returns a new tensor of the same shape."""

    def degrade(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Damage the audio and encode it."""
        rate = item.representation.sample_rate
        damaged = self.apply(item.wave, parameters, noise, rate)
        return Degraded(item.representation.encode(damaged), None)

    def observe(self, item: Item, parameters: Any, noise: Noise) -> Degraded:
        """Take the damaged audio as it is."""
        return Degraded(item.z, None)

    def detect(self, blocks: Iterable[Tensor], sample_rate: int) -> Any | None:
        """Take the audio as damaged: nothing need be known, unless ``Parameters`` has no defaults.

        Raises:
            TaskError: it has none; the message lists what must be given.
        """
        if any(field.is_required() for field in self.Parameters.model_fields.values()):
            return super().detect(blocks, sample_rate)
        return self.Parameters()
