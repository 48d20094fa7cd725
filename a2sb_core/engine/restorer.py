"""Restorer: a model that restores audio, tensors in and out, or file to file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.resample import resampled_length
from a2sb_core.engine import survey
from a2sb_core.engine.checkpoint import load_model, save_model
from a2sb_core.engine.devices import choose_autocast, choose_device
from a2sb_core.engine.model import Model
from a2sb_core.engine.streaming import Plan, Progress, Restoration
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.interfaces import FrozenConfig

Wave = TypeVar("Wave", Tensor, np.ndarray)
BLOCK_SAMPLES = 1 << 17  # read at once


class Restorer:
    """Restores audio with one model.

    Args:
        model: the model; :meth:`from_pretrained` loads one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``auto`` (bf16 where the device computes in it), ``fp32`` or ``bf16``.

    Example:
        >>> from a2sb_core import Restorer  # doctest: +SKIP
        >>> restorer = Restorer.from_pretrained("small")  # doctest: +SKIP
        >>> restored = restorer.restore(wave, 44100, task="bandwidth")  # doctest: +SKIP
    """

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        self.device = choose_device(device)
        self.precision = precision
        choose_autocast(self.device, precision)  # refuse an unknown precision now, not later
        self.model = model.to(self.device).eval()

    @classmethod
    def from_pretrained(
        cls, source: str | Path, device: str = "auto", precision: str = "auto", **hub: Any
    ) -> Restorer:
        """Load a model by registered name, folder or Hugging Face hub id.

        ``hub`` may hold ``revision``, ``cache_dir`` and ``local_files_only``.

        Raises:
            ModelError: the model is not found or does not fit, or the device is absent.
        """
        choose_device(device)
        return cls(load_model(source, **hub), device, precision)

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write the model as a folder of ``config.json`` and ``model.safetensors``.

        ``half`` stores the network's weights in 16 bits.
        """
        save_model(self.model, folder, half=half)

    def find_damage(
        self, wave: Tensor | np.ndarray, sample_rate: int, *, task: str,
        cutoff_hz: float | None = None, gaps_s: Sequence[tuple[float, float]] | None = None,
    ) -> FrozenConfig | None:
        """Return what :meth:`restore` would restore: as given, or found; None: nothing.

        Raises:
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        audio = _as_tensor(wave)
        return self._damage(
            _chunks(audio), sample_rate, audio.shape[-1] / sample_rate, task,
            _given(cutoff_hz, gaps_s),
        )

    def restore(
        self, wave: Wave, sample_rate: int, *, task: str, cutoff_hz: float | None = None,
        gaps_s: Sequence[tuple[float, float]] | None = None, steps: int | None = None,
        seed: int = 0, progress: Progress | None = None, output_rate: int | None = None,
    ) -> Wave:
        """Restore audio of any length, any number of channels and any sample rate.

        Outside what was missing the output is the input itself. Channels share their noise, so
        that the stereo image stays.

        Args:
            wave: (channels, samples) or (samples,), float, full scale 1.
            sample_rate: Hz.
            task: a task of the model: ``bandwidth`` or ``inpaint``.
            cutoff_hz: highest frequency the audio holds; found where not given.
            gaps_s: stretches (start, end) in seconds to fill.
            steps: network evaluations for each window; the model's default where not given.
            seed: the same seed gives the same result.
            progress: called with (done, of), in frames; what it raises ends the work.
            output_rate: Hz of the result; by default the input's own, and for bandwidth extension
                at least the model's.

        Returns:
            The restored audio, of the type and form given.

        Raises:
            AudioError: the audio is empty or holds NaN or infinity outside the gaps.
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        audio, given = _as_tensor(wave), _given(cutoff_hz, gaps_s)
        rate = output_rate or self._output_rate(task, sample_rate)
        blocks, samples = _chunks(audio), audio.shape[-1]
        damage = self._damage(blocks, sample_rate, samples / sample_rate, task, given)
        plan = self._plan(blocks, sample_rate, rate, task, damage, steps, seed, samples)
        restored = audio.new_empty(len(audio), resampled_length(samples, sample_rate, rate))
        done = 0
        for block in self._run(blocks, sample_rate, rate, plan, progress):
            restored[:, done : done + block.shape[-1]] = block
            done += block.shape[-1]
        return cast(Wave, _like(restored, wave))

    def restore_blocks(
        self, blocks: Iterable[Tensor | np.ndarray], sample_rate: int, *, task: str,
        cutoff_hz: float | None = None, gaps_s: Sequence[tuple[float, float]] | None = None,
        steps: int | None = None, seed: int = 0, progress: Progress | None = None,
        output_rate: int | None = None, samples: int | None = None, lookahead_s: float = 30.0,
    ) -> Iterator[Tensor]:
        """Restore audio that comes in blocks (channels, n), in memory that does not grow.

        Where ``blocks`` can be iterated over only once, its first ``lookahead_s`` seconds decide
        what is missing and how loud it is, else all of it does. ``samples`` is the length, where
        it is known; all else is as for :meth:`restore`.

        Yields:
            Restored blocks (channels, any number).
        """
        given = _given(cutoff_hz, gaps_s)
        rate = output_rate or self._output_rate(task, sample_rate)
        known = blocks if isinstance(blocks, Collection | _FileBlocks) else None
        if known is None:
            known, blocks = _look_ahead(iter(blocks), round(lookahead_s * sample_rate))
        seen = _Tensors(known)
        duration_s = math.inf if samples is None else samples / sample_rate
        damage = self._damage(seen, sample_rate, duration_s, task, given)
        plan = self._plan(seen, sample_rate, rate, task, damage, steps, seed, samples)
        yield from self._run(_Tensors(blocks), sample_rate, rate, plan, progress)

    def restore_file(
        self, source: str | Path, target: str | Path, *, task: str, overwrite: bool = False,
        clip_mode: files.ClipMode = "clamp", **options: Any,
    ) -> FrozenConfig | None:
        """Restore a file into a new one, in the format its name says, with depth and tags kept.

        Args:
            source: an audio file.
            target: where to write; nothing stands there until the whole result does.
            task: as for :meth:`restore`.
            overwrite: replace an existing target.
            clip_mode: what is done where the result exceeds full scale.
            **options: all that :meth:`restore` takes besides.

        Returns:
            What was restored, as :meth:`find_damage`; None if there was nothing to restore.
        """
        files.check_target(target, overwrite=overwrite, source=source)
        info = files.info(source)
        blocks = _FileBlocks(source)
        given = _given(options.get("cutoff_hz"), options.get("gaps_s"))
        damage = self._damage(blocks, info.sample_rate, info.duration_s, task, given)
        rate = options.get("output_rate") or self._output_rate(task, info.sample_rate)
        plan = self._plan(
            blocks, info.sample_rate, rate, task, damage, options.get("steps"),
            options.get("seed", 0), info.frames,
        )
        with files.AudioWriter(
            target, rate, info.channels, like=info, overwrite=overwrite, clip_mode=clip_mode
        ) as writer:
            for block in self._run(blocks, info.sample_rate, rate, plan, options.get("progress")):
                writer.write(block)
        return damage

    def _output_rate(self, task: str, sample_rate: int) -> int:
        """Extending the bandwidth needs room for it; every other task keeps the rate."""
        own = self.model.representation.sample_rate
        return max(sample_rate, own) if task == "bandwidth" else sample_rate

    def _damage(
        self, blocks: Iterable[Tensor], sample_rate: int, duration_s: float, task: str,
        given: dict[str, Any],
    ) -> Any | None:
        """Parameters of the damage: as given, or found in the audio."""
        corruption = self.model.corruption.for_task(task)
        own = self.model.representation.sample_rate
        return survey.find_damage(corruption, blocks, sample_rate, own, duration_s, given)

    def _plan(
        self, blocks: Iterable[Tensor], sample_rate: int, output_rate: int, task: str,
        damage: Any | None, steps: int | None, seed: int, samples: int | None,
    ) -> Plan | None:
        """Say what is to be done; None: nothing."""
        if steps is not None and steps < 1:
            raise TaskError(f"steps must be at least 1, got {steps}")
        if damage is None:
            return None
        model = self.model
        corruption = model.corruption.for_task(task)
        gain = survey.loudness_gain(
            blocks, corruption.stretches(damage), sample_rate, model.config.loudness_dbfs
        )
        own = model.representation.sample_rate
        settled = survey.settle(corruption, damage, blocks, sample_rate, own)
        steps = steps or model.config.steps.get(corruption.task)
        sampler = model.sampler.with_steps(steps) if steps else model.sampler
        return Plan(
            corruption, settled, sample_rate, output_rate, gain, sampler, seed, samples
        )

    def _run(
        self, blocks: Iterable[Tensor], sample_rate: int, output_rate: int, plan: Plan | None,
        progress: Progress | None,
    ) -> Iterator[Tensor]:
        """Yield restored blocks."""
        if plan is None:
            whole = survey.kept(blocks, None, sample_rate)
            yield from survey.at_rate(whole, sample_rate, output_rate)
            return
        restoration = Restoration(self.model, plan, self.precision, progress)
        for block in blocks:
            yield restoration.push(block)
        yield restoration.finish()


class _Tensors:
    """Blocks as float tensors (C, n)."""

    def __init__(self, blocks: Iterable[Tensor | np.ndarray]) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[Tensor]:
        for block in self.blocks:
            yield _as_tensor(block)


def _look_ahead(
    blocks: Iterator[Tensor | np.ndarray], samples: int
) -> tuple[list[Tensor | np.ndarray], Iterator[Tensor | np.ndarray]]:
    """Return the first blocks, and all of them."""
    head, count = [], 0
    for block in blocks:
        head.append(block)
        count += block.shape[-1]
        if count >= samples:
            break
    return head, itertools.chain(head, blocks)


class _FileBlocks:
    """The blocks (C, n) of a file, from its start each time they are asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Tensor]:
        for block in files.read_blocks(self.path, BLOCK_SAMPLES):
            yield torch.from_numpy(block)


def _chunks(audio: Tensor) -> tuple[Tensor, ...]:
    return torch.split(audio, BLOCK_SAMPLES, dim=-1)


def _given(
    cutoff_hz: float | None, gaps_s: Sequence[tuple[float, float]] | None
) -> dict[str, Any]:
    pairs = {"cutoff_hz": cutoff_hz, "gaps_s": gaps_s}
    return {name: value for name, value in pairs.items() if value is not None}


def _as_tensor(wave: Tensor | np.ndarray) -> Tensor:
    """Return (C, T), float32 or float64 as given: what is kept must come back to the bit."""
    audio = torch.as_tensor(wave).detach().cpu()
    if audio.ndim == 1:
        audio = audio[None]
    if audio.ndim != 2 or audio.numel() == 0 or not audio.is_floating_point():
        raise AudioError(
            f"audio must be floating-point, of shape (channels, samples) and not empty; "
            f"got {audio.dtype} of shape {tuple(audio.shape)}"
        )
    return audio if audio.dtype == torch.float64 else audio.float()


def _like(restored: Tensor, wave: Tensor | np.ndarray) -> Tensor | np.ndarray:
    restored = restored[0] if wave.ndim == 1 else restored
    if isinstance(wave, np.ndarray):
        return restored.numpy().astype(wave.dtype)
    return restored.to(wave)
