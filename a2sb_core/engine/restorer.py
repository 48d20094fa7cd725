"""Restorer: a model that restores audio, tensors in and out, or file to file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.resample import resampled_length
from a2sb_core.engine import filing, survey
from a2sb_core.engine.checkpoint import load_model, save_model
from a2sb_core.engine.devices import choose_device, choose_precision, compile_network
from a2sb_core.engine.job import Job, as_tensor, prepare
from a2sb_core.engine.model import Model
from a2sb_core.engine.stereo import Stereo, check_stereo, form, restore_form
from a2sb_core.engine.streaming import Progress
from a2sb_core.interfaces import FrozenConfig

Wave = TypeVar("Wave", Tensor, np.ndarray)
BLOCK_SAMPLES = 1 << 17  # read at once


class Restorer:
    """Restores audio with one model.

    Args:
        model: the model; :meth:`from_pretrained` loads one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``auto`` (bf16 where the device computes faster in it), ``fp32`` or ``bf16``.
        compile: compile the network with ``torch.compile`` on first use, on CUDA with CUDA graphs;
            worth its minute for long recordings.
        max_bytes: memory of the device that the model and its work may take; by default a share of
            what is free. Fewer windows are evaluated at once where it is short.

    Example:
        >>> from a2sb_core import Restorer  # doctest: +SKIP
        >>> restorer = Restorer.from_pretrained("small")  # doctest: +SKIP
        >>> restored = restorer.restore(wave, 44100, task="bandwidth")  # doctest: +SKIP
    """

    def __init__(
        self, model: Model, device: str = "auto", precision: str = "auto", *,
        compile: bool = False, max_bytes: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(self.device, precision)
        self.max_bytes = max_bytes
        self.model = model.to(self.device).eval()
        if compile:
            compile_network(self.model.backbone)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, device: str = "auto", precision: str = "auto", *,
        compile: bool = False, max_bytes: int | None = None, **hub: Any,
    ) -> Restorer:
        """Load a model by registered name, folder or Hugging Face hub id.

        ``hub`` may hold ``revision``, ``cache_dir`` and ``local_files_only``.

        Raises:
            ModelError: the model is not found or does not fit, or the device is absent.
        """
        choose_precision(choose_device(device), precision)  # refuse it now, not after loading
        model = load_model(source, **hub)
        return cls(model, device, precision, compile=compile, max_bytes=max_bytes)

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write the model as a folder of ``config.json`` and ``model.safetensors``.

        ``half`` stores the network's weights in 16 bits.
        """
        save_model(self.model, folder, half=half)

    def find_damage(
        self, wave: Tensor | np.ndarray, sample_rate: int, *, task: str,
        cutoff_hz: float | None = None, gaps_s: Sequence[tuple[float, float]] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> FrozenConfig | None:
        """Return what :meth:`restore` would restore: as given, or found; None: nothing.

        Raises:
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        audio = as_tensor(wave)
        corruption, own = self.model.corruption.for_task(task), self.model.representation
        return survey.find_damage(
            corruption, (audio,), sample_rate, own.sample_rate, audio.shape[-1] / sample_rate,
            _given(cutoff_hz, gaps_s, parameters),
        )

    def job(
        self, blocks: Iterable[Tensor | np.ndarray], sample_rate: int, *, task: str,
        cutoff_hz: float | None = None, gaps_s: Sequence[tuple[float, float]] | None = None,
        parameters: Mapping[str, Any] | None = None, steps: int | None = None, seed: int = 0,
        progress: Progress | None = None, output_rate: int | None = None,
        samples: int | None = None, lookahead_s: float = 30.0,
    ) -> Job:
        """Look into audio that comes in blocks (channels, n), to be restored by :meth:`Job.run`.

        Where ``blocks`` can be iterated over only once, its first ``lookahead_s`` seconds decide
        what is missing and how loud it is, else all of it does. ``samples`` is the length, where
        it is known; all else is as for :meth:`restore`. Memory does not grow with the length.
        """
        return prepare(
            self.model, self.precision, blocks, sample_rate, task=task,
            output_rate=output_rate or self._output_rate(task, sample_rate),
            given=_given(cutoff_hz, gaps_s, parameters), steps=steps, seed=seed,
            samples=samples, lookahead_s=lookahead_s, progress=progress, max_bytes=self.max_bytes,
        )

    def restore(
        self, wave: Wave, sample_rate: int, *, task: str, cutoff_hz: float | None = None,
        gaps_s: Sequence[tuple[float, float]] | None = None,
        parameters: Mapping[str, Any] | None = None, steps: int | None = None, seed: int = 0,
        progress: Progress | None = None, output_rate: int | None = None, stereo: Stereo = "lr",
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
            parameters: what else is known of the damage, by the names of the corruption's
                ``Parameters``.
            steps: network evaluations for each window; the model's default where not given.
            seed: the same seed gives the same result.
            progress: called with (done, of), in frames; what it raises ends the work.
            output_rate: Hz of the result; by default the input's own, and for bandwidth extension
                at least the model's.
            stereo: what of two channels is restored: ``lr``, ``ms`` (middle and side, turned back
                after) or ``mono`` (their mean: the result has one channel).

        Returns:
            The restored audio, of the type and form given.

        Raises:
            AudioError: the audio is empty or holds NaN or infinity outside the gaps.
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        given = as_tensor(wave)
        check_stereo(stereo, len(given))
        audio, samples = form(given, stereo), given.shape[-1]
        job = self.job(
            torch.split(audio, BLOCK_SAMPLES, dim=-1), sample_rate, task=task,
            cutoff_hz=cutoff_hz, gaps_s=gaps_s, parameters=parameters, steps=steps, seed=seed,
            progress=progress, output_rate=output_rate, samples=samples,
        )
        length = resampled_length(samples, sample_rate, job.output_rate)
        restored, done = given.new_empty(len(audio), length), 0
        for block in job.run():
            restored[:, done : done + block.shape[-1]] = restore_form(block, stereo, given.dtype)
            done += block.shape[-1]
        return cast(Wave, _like(restored, wave))

    def restore_file(
        self, source: str | Path, target: str | Path, *, task: str, overwrite: bool = False,
        clip_mode: files.ClipMode = "clamp", bit_depth: str = "keep", stereo: Stereo = "lr",
        resume: bool = False, on_damage: filing.OnDamage | None = None,
        on_note: filing.OnNote | None = None, **options: Any,
    ) -> FrozenConfig | None:
        """Restore a file into a new one, in the format its name says, with depth and tags kept.

        Memory does not grow with the length. What is finished of a recording of more than five
        minutes is kept beside the target until all is, so that ``resume`` can continue it.

        Args:
            source: an audio file, or ``-`` for stdin (WAV).
            target: where to write; nothing stands there until the whole result does. ``-`` is
                stdout (WAV of 32-bit float, as it is ready).
            task: as for :meth:`restore`.
            overwrite: replace an existing target.
            clip_mode: what is done where the result exceeds full scale: ``clamp``, ``rescale`` or
                ``none``.
            bit_depth: ``keep`` (the source's, where the target's format holds it), ``16``, ``24``,
                ``32`` or ``float``.
            stereo: as for :meth:`restore`.
            resume: continue an interrupted run of the same settings; the result is the same.
            on_damage: called with what will be restored, before the work begins.
            on_note: called with what was done where the result exceeded full scale.
            **options: all that :meth:`restore` takes besides.

        Returns:
            What was restored, as :meth:`find_damage`; None if there was nothing to restore.
        """
        return filing.restore_file(
            self, source, target, task=task, overwrite=overwrite, clip_mode=clip_mode,
            bit_depth=bit_depth, stereo=stereo, resume=resume, on_damage=on_damage,
            on_note=on_note, **options,
        )

    def _output_rate(self, task: str, sample_rate: int) -> int:
        """Extending the bandwidth needs room for it; every other task keeps the rate."""
        own = self.model.representation.sample_rate
        return max(sample_rate, own) if task == "bandwidth" else sample_rate


def _given(
    cutoff_hz: float | None, gaps_s: Sequence[tuple[float, float]] | None,
    parameters: Mapping[str, Any] | None,
) -> dict[str, Any]:
    pairs = {"cutoff_hz": cutoff_hz, "gaps_s": gaps_s} | dict(parameters or {})
    return {name: value for name, value in pairs.items() if value is not None}


def _like(restored: Tensor, wave: Tensor | np.ndarray) -> Tensor | np.ndarray:
    restored = restored[0] if wave.ndim == 1 else restored
    if isinstance(wave, np.ndarray):
        return restored.numpy().astype(wave.dtype)
    return restored.to(wave)
