"""Restorer: a model that restores audio, tensors in and out, or file to file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from a2sb_core.audio import files
from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.resample import resample
from a2sb_core.engine.checkpoint import load_model, save_model
from a2sb_core.engine.devices import choose_autocast, choose_device
from a2sb_core.engine.model import Model
from a2sb_core.engine.splice import blank, change_weight
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.interfaces import Corruption, FrozenConfig, Item, Noise

Progress = Callable[[int, int], None]
Wave = TypeVar("Wave", Tensor, np.ndarray)
SILENT_RMS = 1e-6


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
        corruption = self.model.corruption.for_task(task)
        return self._damage(corruption, audio, sample_rate, _given(cutoff_hz, gaps_s))

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
            progress: called with (done, of) after each step; what it raises ends the work.
            output_rate: Hz of the result; by default the input's own, and for bandwidth extension
                at least the model's.

        Returns:
            The restored audio, of the type and form given.

        Raises:
            AudioError: the audio is empty or holds NaN or infinity outside the gaps.
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        if steps is not None and steps < 1:
            raise TaskError(f"steps must be at least 1, got {steps}")
        audio = _as_tensor(wave)
        corruption = self.model.corruption.for_task(task)
        given = _given(cutoff_hz, gaps_s)
        rate = output_rate or self._output_rate(task, sample_rate)
        parameters = self._damage(corruption, audio, sample_rate, given)
        if parameters is None:
            restored = _resample(audio, sample_rate, rate).clone()
        else:
            stretches = corruption.stretches(parameters)
            audio = _checked(blank(audio, stretches, sample_rate), sample_rate)
            base = _resample(audio, sample_rate, rate)
            change = self._change(audio, sample_rate, corruption, parameters, steps, seed, progress)
            change = _resample(change, self.model.representation.sample_rate, rate, base.shape[-1])
            weight = change_weight(stretches, rate, base.shape[-1])
            restored = base + (change if weight is None else change * weight)
        return cast(Wave, _like(restored, wave))

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
        wave, info = files.read(source)
        asked = {key: options[key] for key in ("cutoff_hz", "gaps_s") if key in options}
        damage = self.find_damage(wave, info.sample_rate, task=task, **asked)
        restored = self.restore(wave, info.sample_rate, task=task, **options)
        rate = options.get("output_rate") or self._output_rate(task, info.sample_rate)
        files.write(target, restored, rate, like=info, overwrite=overwrite, clip_mode=clip_mode)
        return damage

    def _output_rate(self, task: str, sample_rate: int) -> int:
        """Extending the bandwidth needs room for it; every other task keeps the rate."""
        own = self.model.representation.sample_rate
        return max(sample_rate, own) if task == "bandwidth" else sample_rate

    def _damage(
        self, corruption: Corruption, audio: Tensor, sample_rate: int, given: dict[str, Any]
    ) -> Any | None:
        """Parameters of the damage: as given, or found in the audio."""
        own = self.model.representation.sample_rate
        if given:
            try:
                parameters = corruption.Parameters.model_validate(given)
            except ValidationError as error:
                raise TaskError(_explain(error, corruption)) from error
            # The model's rate, not the input's: a file of 8 kHz can be extended from 4 kHz up.
            corruption.check(parameters, audio.shape[-1] / sample_rate, own)
            return parameters
        work = _resample(_checked(audio, sample_rate).float(), sample_rate, own)
        return corruption.detect(work, own)

    @torch.no_grad()
    def _change(
        self, audio: Tensor, sample_rate: int, corruption: Corruption, parameters: Any,
        steps: int | None, seed: int, progress: Progress | None,
    ) -> Tensor:
        """Return restored minus damaged audio, (C, T) at the model's rate."""
        model, representation = self.model, self.model.representation
        work = _resample(audio.float(), sample_rate, representation.sample_rate).to(self.device)
        parameters = corruption.settle(parameters, work.cpu(), representation.sample_rate)
        gain = _loudness_gain(work, corruption.stretches(parameters), model.config.loudness_dbfs,
                              representation.sample_rate)
        work = work * gain
        length = work.shape[-1]
        item = Item(work, representation.encode(work), representation)
        noise = Noise(seed, representation.channels, representation.rows, self.device)
        degraded = corruption.observe(item, parameters, noise)
        steps = steps or model.config.steps.get(corruption.task)
        sampler = model.sampler.with_steps(steps) if steps else model.sampler
        with choose_autocast(self.device, self.precision):
            x0 = sampler.sample(
                model.denoiser(), model.bridge, degraded.x1, degraded.missing, noise, progress
            )
        x0 = representation.project(x0.float())
        if degraded.missing is not None:
            x0 = torch.where(degraded.missing, x0, item.z)
        x0 = representation.refine(x0, degraded.missing, length)
        change = representation.decode(x0, length) - representation.decode(item.z, length)
        return (change / gain).cpu()


def _given(
    cutoff_hz: float | None, gaps_s: Sequence[tuple[float, float]] | None
) -> dict[str, Any]:
    pairs = {"cutoff_hz": cutoff_hz, "gaps_s": gaps_s}
    return {name: value for name, value in pairs.items() if value is not None}


def _explain(error: ValidationError, corruption: Corruption) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    known = ", ".join(corruption.Parameters.model_fields)
    return f"the task `{corruption.task}`: {place}: {first['msg']} (it takes: {known})"


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


def _checked(audio: Tensor, sample_rate: int) -> Tensor:
    check_finite(audio, "the audio", sample_rate=sample_rate)
    return audio


def _like(restored: Tensor, wave: Tensor | np.ndarray) -> Tensor | np.ndarray:
    restored = restored[0] if wave.ndim == 1 else restored
    if isinstance(wave, np.ndarray):
        return restored.numpy().astype(wave.dtype)
    return restored.to(wave)


def _resample(wave: Tensor, from_rate: int, to_rate: int, length: int | None = None) -> Tensor:
    return torch.as_tensor(resample(wave, from_rate, to_rate, length))


def _loudness_gain(
    wave: Tensor, stretches: Any, loudness_dbfs: float | None, sample_rate: int
) -> float:
    """Factor that brings what is not damaged to the wanted root-mean-square level."""
    if loudness_dbfs is None:
        return 1.0
    weight = change_weight(stretches, sample_rate, wave.shape[-1])
    kept = wave if weight is None else wave[:, (weight == 0).to(wave.device)]
    rms = float(kept.square().mean().sqrt()) if kept.numel() else 0.0
    return 10 ** (loudness_dbfs / 20) / rms if rms > SILENT_RMS else 1.0
