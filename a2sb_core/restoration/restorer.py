"""Restorer: restores arrays and files with a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from a2sb_core.audio.arrays import as_rate
from a2sb_core.config.model import ModelConfig
from a2sb_core.devices.allocator import kept_memory
from a2sb_core.devices.choice import choose_device, choose_precision, compile_network
from a2sb_core.errors import AudioError, ModelError, TaskError
from a2sb_core.interfaces import Recording
from a2sb_core.models.folder import load_folder, save_model
from a2sb_core.models.loading import build_model
from a2sb_core.models.locating import find_model
from a2sb_core.models.model import Model
from a2sb_core.models.onnx_files import with_backend
from a2sb_core.restoration.damage import Damage, inspect
from a2sb_core.restoration.listener import Listener
from a2sb_core.restoration.many import map_recordings, one_for_each, usual_workers
from a2sb_core.restoration.memory import Memory
from a2sb_core.restoration.options import RestoreOptions, WriteOptions
from a2sb_core.restoration.output import check_result, possible_rates, write_restored
from a2sb_core.restoration.preparing import (
    Restoration,
    Samples,
    TensorBlocks,
    Wave,
    as_tensor,
    collected,
    formed_blocks,
    prepare,
)
from a2sb_core.restoration.sources import AudioSource
from a2sb_core.restoration.stereo import channels_of, check_together

UNKNOWN = 0  # number of channels before the first block


class Restorer:
    """Restores audio with one model.

    The methods take a :class:`RestoreOptions`, or its fields as keywords; every other keyword is a
    parameter of the damage, such as ``cutoff_hz=4000`` for a model that extends bandwidth.

    Several threads may use one restorer at the same time, with the same results bit for bit as one
    after the other: a restoration keeps its state in objects of its own.

    Args:
        model: the model; :meth:`from_pretrained` loads one. A model with another runtime than
            PyTorch (:meth:`Model.evaluated_by`) runs on the CPU in 32-bit floats.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``auto`` (bf16 where the device computes faster in it), ``fp32`` or ``bf16``.
        compile: compile the network with ``torch.compile`` on first use, on CUDA with CUDA graphs.
            This takes about a minute and pays off for long recordings.
        max_bytes: memory of the device in bytes that the model and its work may use (default: on a
            GPU a share of the free memory, on a CPU no limit). Fewer windows are evaluated at once
            if it is small, and a restoration that would exceed it is refused. On a CPU, it includes
            the audio in work, but not Python and its libraries.

    Example:
        >>> from a2sb_core import Restorer  # doctest: +SKIP
        >>> restorer = Restorer.from_pretrained("small")  # doctest: +SKIP
        >>> restored = restorer.restore(wave, 44100, task="bandwidth")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        precision: str = "auto",
        *,
        compile: bool = False,
        max_bytes: int | None = None,
    ) -> None:
        if model.runtime is not None:
            device, precision = _of_runtime(device, precision, compile)
        self.device = choose_device(device)
        self.precision = choose_precision(self.device, precision)
        self.model = model.to(self.device).eval()
        self.memory = Memory(self.model, self.precision, max_bytes)
        if compile:
            compile_network(self.model.backbone)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str = "auto",
        precision: str = "auto",
        *,
        compile: bool = False,
        max_bytes: int | None = None,
        backend: str = "torch",
        **hub: Any,
    ) -> Restorer:
        """Load a model by registered name, folder or Hugging Face hub id.

        Args:
            source: registered name, folder or hub id.
            device: see :class:`Restorer`, as for ``precision``, ``compile`` and ``max_bytes``.
            precision: see :class:`Restorer`.
            compile: see :class:`Restorer`.
            max_bytes: see :class:`Restorer`.
            backend: ``torch``, or ``onnx`` or ``onnx-int8`` for ONNX Runtime on the CPU, see
                :func:`a2sb_core.models.onnx_files.with_backend`.
            **hub: may hold ``revision``, ``cache_dir`` and ``local_files_only``.

        Raises:
            ModelError: the model is not found or invalid, or the device or backend is not
                available.
        """
        if backend != "torch":
            device, precision = _of_runtime(device, precision, compile)
        choose_precision(choose_device(device), precision)  # fail before the model is loaded
        folder = find_model(source, **hub)
        model = with_backend(load_folder(folder), backend, folder)
        return cls(model, device, precision, compile=compile, max_bytes=max_bytes)

    @classmethod
    def from_config(
        cls,
        config: ModelConfig | Mapping[str, Any] | str | Path,
        device: str = "auto",
        precision: str = "auto",
        *,
        weights: str | Path | None = None,
        compile: bool = False,
        max_bytes: int | None = None,
    ) -> Restorer:
        """Build a model from its configuration.

        Args:
            config: a configuration, its fields, a YAML file, or the name of a preset. Fields and
                files may contain ``weights``, whose path is relative to the file.
            device: see :class:`Restorer`, as for ``precision``, ``compile`` and ``max_bytes``.
            precision: see :class:`Restorer`.
            weights: a file ``model.safetensors`` or a model folder. Without weights, the network is
                untrained, with the same random values each time.
            compile: see :class:`Restorer`.
            max_bytes: see :class:`Restorer`.

        Raises:
            ConfigError: the configuration is invalid.
            ModelError: the weights do not fit it, or the device is not available.
        """
        choose_precision(choose_device(device), precision)  # fail before the model is built
        model = build_model(config, weights)
        return cls(model, device, precision, compile=compile, max_bytes=max_bytes)

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write the model as a folder of ``config.json`` and ``model.safetensors``.

        ``half`` stores the network's weights in 16 bits.
        """
        save_model(self.model, folder, half=half)

    def inspect(
        self,
        wave: Samples,
        sample_rate: int,
        options: RestoreOptions | None = None,
        **keywords: Any,
    ) -> Damage | None:
        """Return the damage that :meth:`restore` would restore; None if there is none.

        Raises:
            AudioError: the audio or the sample rate is invalid.
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        options = RestoreOptions.chosen(options, keywords)
        source = AudioSource.of(wave, sample_rate).formed(options.stereo)
        recording = source.recording(self.model.representation.sample_rate)
        together = self.model.representation.audio_channels
        check_together(options.stereo, together, recording.channels)
        corruption = self.model.corruption.for_task(options.task)
        return inspect(corruption, recording, options.damage, self.model.uses(corruption))

    def prepare(
        self,
        blocks: Iterable[Samples],
        sample_rate: int,
        options: RestoreOptions | None = None,
        *,
        samples: int | None = None,
        lookahead_s: float | None = None,
        **keywords: Any,
    ) -> Restoration:
        """Inspect audio in blocks (channels, n); :meth:`Restoration.run` restores it.

        Memory does not grow with the length of the recording.

        Args:
            blocks: the audio; an array is one block. If the blocks can be iterated over only once,
                damage and loudness are measured in the first ``lookahead_s`` seconds. A generator
                may wait for live audio.
            sample_rate: sample rate in Hz.
            options: options of the restoration (default: made from ``keywords``).
            samples: length of the audio in samples, if it is known.
            lookahead_s: seconds of a stream that are inspected (default: 30 to find the damage; one
                window of the sampler if the damage is given, which adds no latency).
            **keywords: fields of :class:`RestoreOptions` and parameters of the damage.

        Raises:
            AudioError: the audio or the sample rate is invalid.
            TaskError: the task is unknown, or the damage cannot be restored.
        """
        options = RestoreOptions.chosen(options, keywords)
        sample_rate = as_rate(sample_rate)
        if isinstance(blocks, Tensor | np.ndarray):
            blocks = [blocks]
        if isinstance(blocks, Collection):
            source: Iterable[Tensor] = TensorBlocks(blocks, sample_rate, options.stereo)
        else:
            source = formed_blocks(blocks, sample_rate, options.stereo)
        duration_s = None if samples is None else samples / sample_rate
        rate = self.model.representation.sample_rate
        recording = Recording(source, sample_rate, UNKNOWN, rate, duration_s)
        return prepare(self.memory, recording, options, lookahead_s)

    def restore(
        self,
        wave: Wave,
        sample_rate: int,
        options: RestoreOptions | None = None,
        *,
        listener: Listener | None = None,
        **keywords: Any,
    ) -> Wave:
        """Restore audio of any length, any number of channels and any sample rate.

        Outside of the damage, the output is the input itself, and digital silence stays silent.
        What is restored has the coherence that the channels have below a cutoff or around a gap.

        Args:
            wave: audio (channels, samples) or (samples,), floating-point, full scale 1.
            sample_rate: sample rate in Hz.
            options: options of the restoration (default: made from ``keywords``).
            listener: receives the damage, the progress and notes.
            **keywords: fields of :class:`RestoreOptions` and parameters of the damage.

        Returns:
            The restored audio, of the type and the number of dimensions of ``wave``.

        Raises:
            AudioError: the audio is empty, is no array or tensor of floating-point samples, or
                contains NaN or infinity outside of the damage; or the sample rate is invalid.
            TaskError: the task is unknown, or the damage does not lie within the audio.
        """
        options = RestoreOptions.chosen(options, keywords)
        listener = listener or Listener()
        restoration = self.prepare_file(AudioSource.of(wave, sample_rate), options)
        restoration.tell(listener)
        return collected(restoration, wave, listener)

    def restore_many(
        self,
        waves: Iterable[Wave],
        sample_rate: int | Sequence[int],
        options: RestoreOptions | Sequence[RestoreOptions] | None = None,
        *,
        workers: int | None = None,
        **keywords: Any,
    ) -> list[Wave]:
        """Restore many recordings faster than one by one, with the same results bit for bit.

        Each recording is computed as :meth:`restore` computes it. On a CPU, memory that a
        recording frees is kept for the next one (Linux, in the main thread). On a GPU and with many
        threads, several recordings are in work at a time.

        Args:
            waves: recordings of any lengths, each as for :meth:`restore`.
            sample_rate: sample rate of all recordings in Hz, or a sequence with that of each.
            options: options of all recordings, or a sequence with those of each (default: made
                from ``keywords``).
            workers: number of recordings that are in work at a time, each in a thread (default: a
                quarter of the threads of torch, from 1 to 4; 2 on a GPU; 1 with ``max_bytes``).
            **keywords: fields of :class:`RestoreOptions` and parameters of the damage.

        Returns:
            The restored recordings, in order.

        Raises:
            AudioError: a recording is unsuitable, or the number of sample rates or options differs
                from that of the recordings. Nothing is restored then.
            TaskError: the damage of a recording is invalid; the message states its index.
        """
        recordings = list(waves)
        if not isinstance(options, Sequence):
            options = [RestoreOptions.chosen(options, keywords)] * len(recordings)
        elif keywords:
            raise TaskError("give either options or keywords, not both")
        each = one_for_each(options, len(recordings), "options")
        rates = one_for_each(sample_rate, len(recordings), "sample rates")
        map_recordings(lambda index: as_tensor(recordings[index]), len(recordings), 1)
        is_limited = self.memory.max_bytes is not None
        if workers is None:
            workers = 1 if is_limited else usual_workers(self.device)

        def restore(index: int) -> Wave:
            return self.restore(recordings[index], rates[index], each[index])

        with nullcontext() if is_limited else kept_memory(self.device):
            return map_recordings(restore, len(recordings), workers)

    def restore_file(
        self,
        source: str | Path,
        target: str | Path,
        options: RestoreOptions | None = None,
        write: WriteOptions | None = None,
        *,
        listener: Listener | None = None,
        **keywords: Any,
    ) -> Damage | None:
        """Restore a file to a new one, whose suffix determines the format; keep depth and tags.

        Memory does not grow with the length. While a recording of more than five minutes is
        restored, its finished part is in a hidden file next to the target, from which ``resume``
        continues.

        Args:
            source: an audio file, or ``-`` for stdin (WAV).
            target: file to write, which appears when it is complete; ``-`` for stdout (WAV of
                32-bit float, written as it is ready).
            options: options of the restoration (default: made from ``keywords``).
            write: options of the output file (default: made from ``keywords``).
            listener: receives the damage before the restoration begins, the progress and notes.
            **keywords: fields of :class:`RestoreOptions` and :class:`WriteOptions`, and parameters
                of the damage.

        Returns:
            The damage that was restored; None if there was nothing to restore.
        """
        split, others = WriteOptions.split(keywords)
        if write is not None and len(others) < len(keywords):
            raise AudioError("describe the output by `write` or by keywords, not by both")
        options, write = RestoreOptions.chosen(options, others), write or split

        def prepare(audio: AudioSource) -> Restoration:
            own = self.model.representation.sample_rate
            rates = possible_rates((audio.sample_rate,), options, own)
            channels = channels_of(options.stereo, audio.channels)
            check_result(target, write, audio.info, channels, rates)
            return self.prepare_file(audio, options)

        return write_restored(prepare, source, target, write, listener).damage

    def prepare_file(self, source: AudioSource, options: RestoreOptions) -> Restoration:
        """Inspect an open file or pipe; :meth:`Restoration.run` restores it."""
        rate = self.model.representation.sample_rate
        return prepare(self.memory, source.formed(options.stereo).recording(rate), options)


def _of_runtime(device: str, precision: str, compile: bool) -> tuple[str, str]:
    """Return the device and the precision of a runtime other than PyTorch.

    Raises:
        ModelError: another device or precision is wanted, or compilation.
    """
    chosen = {"device": (device, "cpu"), "precision": (precision, "fp32")}
    for name, (wanted, only) in chosen.items():
        if wanted not in ("auto", only):
            raise ModelError(
                f"ONNX Runtime evaluates the network with the {name} {only} and not {wanted}; "
                "leave it out, or use the backend torch"
            )
    if compile:
        raise ModelError("only the network of the backend torch can be compiled; leave it out")
    return "cpu", "fp32"
