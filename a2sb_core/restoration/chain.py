"""Chains: restorations in a row, each of the result of the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from a2sb_core.audio.resampling import resampled_length
from a2sb_core.config.chain import ChainConfig, ChainStep
from a2sb_core.config.loading import load_config, validate
from a2sb_core.errors import A2SBError, TaskError
from a2sb_core.interfaces import Recording
from a2sb_core.restoration.damage import Damage, describe, inspect
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.output import check_result, possible_rates, write_restored
from a2sb_core.restoration.preparing import Restoration, Wave, collected
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.sources import PIPE, AudioSource
from a2sb_core.restoration.stereo import channels_of, check_stereo
from a2sb_core.restoration.stored_blocks import StoredBlocks


@dataclass(frozen=True)
class ChainDamage:
    """Damage that the steps of a chain restored.

    Attributes:
        steps: task and damage of each step; None for a step that found nothing to restore.
    """

    steps: tuple[tuple[str, Damage | None], ...]

    def simplified(self) -> Damage | ChainDamage:
        """Return the damage itself if there is a single step."""
        return self.steps[0][1] or self if len(self.steps) == 1 else self

    def describe(self) -> str:
        """Describe the damage to people."""
        return "; then ".join(describe(damage) for _, damage in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Return the damage for JSON."""
        found = ((task, damage and damage.as_dict()) for task, damage in self.steps)
        return {"chain": [{"task": task, "found": one} for task, one in found]}


class Chain:
    """Restorations in a row, each of the result of the one before it.

    The result is that of the same restorations one after the other: the sample rate of a result is
    that of the next input, and the damage and the loudness of a step are measured in the result of
    the one before. For this, the results between the steps of a file are kept in memory or in a
    temporary file. A pipe is restored as it arrives, with the first seconds inspected at each step.

    Args:
        steps: the restorer and the options of each step.

    Example:
        >>> from a2sb_core import Chain, Restorer, RestoreOptions  # doctest: +SKIP
        >>> small = Restorer.from_pretrained("small")  # doctest: +SKIP
        >>> tasks = RestoreOptions("inpaint"), RestoreOptions("bandwidth")  # doctest: +SKIP
        >>> Chain([(small, task) for task in tasks]).restore_file("in.wav", "out.wav")
        ... # doctest: +SKIP
    """

    def __init__(self, steps: Sequence[tuple[Restorer, RestoreOptions]]) -> None:
        """Store the steps.

        Raises:
            TaskError: there is no step, or a model does not support its task.
        """
        self.steps = tuple(steps)
        if not self.steps:
            raise TaskError("a chain needs at least one step")
        for number, (restorer, options) in enumerate(self.steps):
            with self.named(number):
                restorer.model.corruption.for_task(options.task)

    @classmethod
    def from_config(
        cls,
        config: ChainConfig | Mapping[str, Any] | str | Path,
        device: str = "auto",
        precision: str = "auto",
        *,
        max_bytes: int | None = None,
    ) -> Chain:
        """Load the models of a chain, each of them once.

        Args:
            config: a configuration, its fields, or a YAML file.
            device: see :class:`Restorer`, as for ``precision`` and ``max_bytes``.
            precision: see :class:`Restorer`.
            max_bytes: see :class:`Restorer`; each step may use an equal share.

        Raises:
            ConfigError: the configuration is invalid.
            ModelError: a model is not found or invalid.
            TaskError: a model does not support its task.
        """
        if isinstance(config, Mapping):
            config = validate(ChainConfig, dict(config), "the configuration")
        elif not isinstance(config, ChainConfig):
            config = load_config(ChainConfig, config)
        models = [step.model for step in config.chain]
        restorers = load_restorers(models, device, precision, max_bytes=max_bytes)
        return cls(list(zip(restorers, map(options_of, config.chain), strict=True)))

    def restore(self, wave: Wave, sample_rate: int, *, listener: Listener | None = None) -> Wave:
        """Restore audio, as :meth:`Restorer.restore` does.

        Raises:
            AudioError: the audio is unsuitable.
            TaskError: a step cannot follow the one before it; the message states which.
        """
        listener = listener or Listener()
        restoration = self.prepare_file(AudioSource.of(wave, sample_rate), listener)
        restoration.tell(listener)
        return collected(restoration, wave, listener)

    def restore_file(
        self,
        source: str | Path,
        target: str | Path,
        write: WriteOptions | None = None,
        *,
        listener: Listener | None = None,
        **keywords: Any,
    ) -> ChainDamage | None:
        """Restore a file to a new one, as :meth:`Restorer.restore_file` does.

        Args:
            source: an audio file, or ``-`` for stdin (WAV).
            target: file to write, or ``-`` for stdout.
            write: options of the output file (default: made from ``keywords``).
            listener: receives the damage and the progress of each step in turn, and notes.
            **keywords: fields of :class:`WriteOptions`.

        Returns:
            The damage that was restored; None if no step had anything to restore.
        """
        listener, write = listener or Listener(), write or WriteOptions(**keywords)
        restoration = write_restored(
            lambda audio: self.prepare_file(audio, listener, target, write),
            source,
            target,
            write,
            listener,
        )
        done = (*restoration.earlier, restoration)
        if all(one.damage is None for one in done):
            return None
        return ChainDamage(tuple((one.options.task, one.damage) for one in done))

    def check(
        self, source: AudioSource, target: str | Path = PIPE, write: WriteOptions | None = None
    ) -> None:
        """Check that each step can follow the one before it, without restoring anything.

        The results of earlier steps are not known yet; noise stands for them.

        Raises:
            TaskError: a step cannot work; the message states which.
            AudioError: the format of ``target`` cannot hold the result, whatever the damage.
        """
        noise = 0.1 * torch.randn(1, source.sample_rate, generator=torch.Generator().manual_seed(0))
        rate, channels, is_pipe = source.sample_rate, source.channels, source.is_pipe
        rates: tuple[int, ...] = (rate,)
        for number, (restorer, options) in enumerate(self.steps):
            with self.named(number):
                check_stereo(options.stereo, channels)
                channels = channels_of(options.stereo, channels)
                duration_s = None if source.frames is None else source.frames / source.sample_rate
                model = restorer.model
                own = model.representation.sample_rate
                recording = Recording(
                    [noise.expand(channels, -1)], rate, channels, own, duration_s, is_pipe
                )
                corruption, known = model.corruption.for_task(options.task), options.damage
                damage = inspect(corruption, recording, known, model.uses(corruption))
            rate = options.output_rate or (damage.output_rate(recording) if damage else rate)
            rates = possible_rates(rates, options, own)
        check_result(target, write, source.info, channels, rates)

    def prepare_file(
        self,
        source: AudioSource,
        listener: Listener | None = None,
        target: str | Path = PIPE,
        write: WriteOptions | None = None,
    ) -> Restoration:
        """Inspect an open file or pipe; :meth:`Restoration.run` restores it.

        The steps before the last one are done here, except for those of a pipe.

        Raises:
            A2SBError: a step cannot be done; the message states which.
        """
        self.check(source, target, write)
        listener = listener or Listener()
        done: list[Restoration] = []
        for number, (restorer, options) in enumerate(self.steps):
            if done:
                with self.named(number - 1):
                    done[-1].tell(listener)
                    source = _result(source, done[-1], listener)
            with self.named(number):
                done.append(restorer.prepare_file(source, options))
        return replace(done[-1], earlier=tuple(done[:-1]))

    @contextmanager
    def named(self, number: int) -> Iterator[None]:
        """State a step in the message of an error."""
        try:
            yield
        except A2SBError as error:
            if len(self.steps) == 1:
                raise
            task = self.steps[number][1].task
            raise type(error)(f"step {number + 1} of the chain ({task}): {error}") from error


def _result(source: AudioSource, restoration: Restoration, listener: Listener) -> AudioSource:
    """Return the result of a restoration as a source."""
    channels, rate = restoration.recording.channels, restoration.output_rate
    if restoration.is_unchanged and channels == source.channels:
        return source
    frames = source.frames
    if frames is not None:
        frames = resampled_length(frames, source.sample_rate, rate)
    result = AudioSource(source.name, rate, channels, frames, restoration.run(listener=listener))
    if source.is_pipe:
        return result
    dtype = next(iter(source.blocks)).dtype
    return replace(result, blocks=StoredBlocks(result.blocks, rate, channels, dtype))


def load_restorers(
    models: Sequence[str],
    device: str = "auto",
    precision: str = "auto",
    *,
    compile: bool = False,
    max_bytes: int | None = None,
    backend: str = "torch",
) -> tuple[Restorer, ...]:
    """Load the models of the steps of a chain, each model once.

    Each step may use an equal share of ``max_bytes``, because the steps of a pipe run together.

    Raises:
        ModelError: a model is not found or invalid, or the device is not available.
    """
    share = max_bytes and max_bytes // len(models)
    restorers = {
        model: Restorer.from_pretrained(
            model, device, precision, compile=compile, max_bytes=share, backend=backend
        )
        for model in dict.fromkeys(models)
    }
    return tuple(restorers[model] for model in models)


def options_of(step: ChainStep) -> RestoreOptions:
    """Return the options of a step."""
    return RestoreOptions(**{one.name: getattr(step, one.name) for one in fields(RestoreOptions)})
