"""Corruption: damage that training applies to clean audio and that a restoration removes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic

import torch
from pydantic import Field, FiniteFloat, ValidationError
from torch import Tensor
from typing_extensions import TypeVar

from a2sb_core.audio.stretches import Stretches
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.interfaces.component import Component
from a2sb_core.interfaces.finisher import Finisher
from a2sb_core.interfaces.guess import Guess
from a2sb_core.interfaces.item import Degraded, Item
from a2sb_core.interfaces.parameters import draw_value, partly_known, scale_value
from a2sb_core.interfaces.recording import Recording
from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.types import Grid, Marks, Noise
from a2sb_core.plugins.component_config import AnyGuess, ComponentConfig, FrozenConfig

P = TypeVar("P", bound=FrozenConfig, default=Any)


class Corruption(Component, ABC, Generic[P]):
    """A kind of damage, in Hz and seconds.

    ``Parameters`` (a nested frozen configuration) describes one damage. Training draws it at
    random (:meth:`draw`). In a restoration, :meth:`inspect` completes the parameters that the user
    specified, or finds the damage in the recording.

    Most authors derive from :class:`MaskCorruption` or :class:`WaveformCorruption` and write one
    method.

    Attributes:
        task: name under which users request the restoration (``--task``).
        label: title of the task for people, such as on a page (default: the name of the task).
        ranges: smallest and largest value of a parameter that is a number, and the choices of any
            other parameter, from which :meth:`draw` draws uniformly. The network can be
            conditioned on parameters with a range (``condition_on`` of the model).
        used: names of the parameters that the restoration itself uses; None if it uses all of them.
            Users can give these, and those on which the network is conditioned.
        audio_channels: number of audio channels that the damage needs together, such as 2 for the
            stereo image. The representation of the model must encode as many.
        parts: the corruptions that this one is composed of. Inside, each acts as it does alone.
        context_s: seconds of audio on each side of a frame on which its observation depends.

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
    label: ClassVar[str] = ""
    ranges: ClassVar[Mapping[str, Sequence[Any]]] = {}
    used: Sequence[str] | None = None
    audio_channels: int = 1
    parts: Sequence[Corruption] = ()
    context_s: float = 0.0
    Parameters: type[FrozenConfig]

    def draw(self, duration_s: float, generator: torch.Generator) -> P:
        """Draw the parameters for a training item of ``duration_s`` seconds.

        By default each parameter is drawn uniformly from its range: integers including both ends,
        and any other parameter from its choices. A parameter without a range keeps its default
        value.

        Raises:
            ConfigError: a parameter has neither a range nor a default value, or its range does not
                fit it.
        """
        fields, name = self.Parameters.model_fields, self.config.name
        if unknown := self.ranges.keys() - fields.keys():
            raise ConfigError(
                f"the corruption `{name}`: `ranges` names `{min(unknown)}`, which is no parameter; "
                f"its parameters: {', '.join(fields)}"
            )
        for field in fields.keys() - self.ranges.keys():
            if fields[field].is_required():
                raise ConfigError(
                    f"the corruption `{name}` does not define how `{field}` is drawn: "
                    "add it to `ranges`, or override `draw`"
                )
        drawn = {
            field: draw_value(fields[field].annotation, values, generator)
            for field, values in self.ranges.items()
        }
        try:
            return self.Parameters.model_validate(drawn)  # type: ignore[return-value]
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(
                f"the corruption `{name}`: `ranges` gives {drawn}, which does not fit its "
                f"parameters: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            ) from error

    def observed(self, **known: Any) -> P:
        """Return the parameters of a recording, of which only some may be known.

        A required parameter that is not in ``used`` is None if it is not known.

        Raises:
            ValidationError: a value is invalid, or a parameter that is needed is not given.
        """
        kind = self.Parameters
        if self.used is not None:
            kind = partly_known(kind, frozenset(self.used))
        return kind.model_validate(known)  # type: ignore[return-value]

    def ranged(self) -> tuple[str, ...]:
        """Return the names of the parameters that have a range, also those of :attr:`parts`."""
        parts = (name for part in self.parts for name in part.ranged())
        return tuple(dict.fromkeys((*self.ranges, *parts)))

    def scaled(self, parameters: P) -> dict[str, float]:
        """Return the known parameters among :meth:`ranged`, scaled to [-1, 1] by their ranges.

        Known are the parameters that were given or drawn, not those that have their default value,
        nor a choice that training does not draw.
        """
        fields = self.Parameters.model_fields
        known = {name: getattr(parameters, name) for name in parameters.model_fields_set}
        scaled = {
            name: scale_value(fields[name].annotation, values, known[name])
            for name, values in self.ranges.items()
            if known.get(name) is not None
        }
        return {name: value for name, value in scaled.items() if value is not None}

    @abstractmethod
    def degrade(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Apply the damage to a clean item."""

    @abstractmethod
    def observe(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Describe an item that is already damaged; only its known content may be used."""

    def halo(self, representation: Representation) -> int:
        """Return the number of frames by which a piece is extended on each side to observe it."""
        if not self.context_s:
            return 0
        samples = math.ceil(self.context_s * representation.sample_rate) + representation.context
        return -(-samples // representation.stride)

    def inspect(self, recording: Recording, given: P | None = None) -> P | None:
        """Find the damage of a recording, or complete the parameters that the user specified.

        By default the damage cannot be found, and a given one must lie within the recording.

        Args:
            recording: the damaged audio; NaN marks lost samples (:meth:`Recording.raw_blocks`).
            given: the parameters that the user specified; None to find the damage.

        Returns:
            The parameters of the restoration; None if there is nothing to restore.

        Raises:
            TaskError: the damage cannot be found, or does not lie within the recording.
        """
        if given is None:
            names = self.Parameters.model_fields if self.used is None else self.used
            raise TaskError(
                f"the task `{self.task}` cannot find the damage automatically; "
                f"specify it: {', '.join(names)}"
            )
        check_stretches(self.stretches(given), recording)
        return given

    def describe(self, parameters: P) -> str:
        """Describe the damage to people, as a clause such as "extending above 4000 Hz"."""
        values = parameters.model_dump(mode="json", exclude_unset=self.used is not None)
        known = [f"{name} = {value}" for name, value in values.items() if value is not None]
        return f"restoring: {', '.join(known)}" if known else "restoring all of the audio"

    def marks(self, parameters: P) -> Marks:
        """Return the marks to draw into a spectrogram of the damaged recording."""
        return Marks(stretches_s=self.stretches(parameters) or ())

    def output_rate(self, parameters: P, sample_rate: int, model_rate: int) -> int:
        """Return the sample rate of the result in Hz (default: that of the recording).

        Args:
            parameters: the parameters that :meth:`inspect` returned.
            sample_rate: sample rate of the recording, in Hz.
            model_rate: sample rate of the model, in Hz.
        """
        return sample_rate

    def finisher(self, parameters: P, sample_rate: int) -> Finisher | None:
        """Return the finisher, a last step on the waveform of the result (default: None).

        Args:
            parameters: the parameters that :meth:`inspect` returned.
            sample_rate: sample rate of the result, in Hz.
        """
        return None

    def stretches(self, parameters: P) -> Stretches | None:
        """Return the damaged stretches (start, end) in seconds; None if damage may be anywhere."""
        return None

    def lost(self, parameters: P) -> Stretches:
        """Return the stretches whose samples are lost and read as silence, in seconds.

        By default these are all :meth:`stretches`, or none if damage may be anywhere.
        """
        return self.stretches(parameters) or ()

    def for_task(self, task: str) -> Corruption:
        """Return the corruption that serves ``task``: this one, or one of its parts.

        Raises:
            TaskError: no corruption serves the task; the message lists the supported tasks.
        """
        if task not in self.tasks():
            raise TaskError(
                f"this model does not support the task `{task}`; "
                f"supported tasks: {', '.join(self.tasks())}"
            )
        return self

    def tasks(self) -> tuple[str, ...]:
        """Return the names of the tasks that :meth:`for_task` accepts."""
        return (self.task,)


class MaskCorruption(Corruption[P]):
    """Content is missing in some rows and frames; all other content is unchanged.

    Equation (8): X1 = X0 where nothing is missing, N(0, sigma_M^2) noise elsewhere. With a guess,
    the noise is around the guess.
    """

    class Config(ComponentConfig):
        """The start of the bridge in place of missing content."""

        fill_std: FiniteFloat = Field(0.5, ge=0)
        """Standard deviation sigma_M of the noise, equation (8)."""
        guess: AnyGuess | None = None
        """Estimate of the missing content that is the mean of the noise (the paper: none)."""

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        given: ComponentConfig | None = getattr(config, "guess", None)
        self.guess: Guess | None = None if given is None else given.build()
        self.context_s = 0.0 if self.guess is None else self.guess.context_s

    @abstractmethod
    def missing(self, grid: Grid, parameters: P) -> Tensor:
        """Return a boolean tensor (F, W) that is True where content is missing."""

    def degrade(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Replace missing content by noise, (8), or by the guess and noise."""
        missing = self.missing(item.grid, parameters).to(item.z.device)[None, None]
        fill = getattr(self.config, "fill_std", 0.5) * item.draw(noise)
        if self.guess is not None:
            lost = self.lost(parameters) or self.stretches(parameters) or ()
            fill = fill + self.guess.guess(item.without(missing, lost), missing, lost)
        return Degraded(torch.where(missing, fill.to(item.z.dtype), item.z), missing)

    def observe(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Replace missing content by noise, whatever the recording contains there."""
        return self.degrade(item, parameters, noise)


class WaveformCorruption(Corruption[P]):
    """Damage to the waveform that may change everything, such as noise or clipping.

    The bridge then starts from the damaged signal, and ``missing`` is None. The restoration uses no
    parameters unless ``used`` lists them or the network is conditioned on them.
    """

    used: Sequence[str] | None = ()

    @abstractmethod
    def apply(self, wave: Tensor, parameters: P, noise: Noise, sample_rate: int) -> Tensor:
        """Damage clean audio (B, T) at ``sample_rate`` Hz; return a new tensor of that shape.

        With several ``audio_channels`` C, the audio is (B C, T): C consecutive rows are the
        channels of an item, which ``wave.reshape(-1, C, T)`` separates.
        """

    def degrade(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Damage the audio and encode it."""
        rate = item.representation.sample_rate
        damaged = self.apply(item.wave, parameters, noise, rate)
        return Degraded(item.representation.encode(damaged), None)

    def observe(self, item: Item, parameters: P, noise: Noise) -> Degraded:
        """Return the damaged audio unchanged."""
        return Degraded(item.z, None)

    def inspect(self, recording: Recording, given: P | None = None) -> P | None:
        """Assume that the recording is damaged; only required parameters in ``used`` must be given.

        Raises:
            TaskError: a parameter that is needed is not given; the message lists them.
        """
        fields = self.Parameters.model_fields
        if given is None and not any(fields[name].is_required() for name in self.used or ()):
            given = self.observed()
        return super().inspect(recording, given)


def check_stretches(stretches: Stretches | None, recording: Recording) -> None:
    """Check that stretches of time lie within a recording and do not cover all of it.

    Raises:
        TaskError: a stretch ends after the recording, or nothing of the recording is left.
    """
    duration_s = recording.duration_s
    if stretches is None or duration_s is None:
        return
    margin_s = 1 / recording.model_rate
    for start, end in stretches:
        if end > duration_s + margin_s:
            raise TaskError(
                f"the stretch {start:g}:{end:g} s does not lie within the audio, "
                f"which is {duration_s:g} s long"
            )
    covered, last = 0.0, 0.0
    for start, end in sorted(stretches):
        covered += max(0.0, end - max(start, last))
        last = max(last, end)
    if covered >= duration_s - margin_s:
        raise TaskError("the damage covers the whole audio: nothing is left to restore it from")
