"""Working in the memory there is: windows at once, and fewer of them when memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil
import torch
from torch import Tensor

from a2sb_core.engine.devices import choose_autocast
from a2sb_core.engine.model import Model
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Denoiser, Sampler

USABLE = 0.8  # of what is free
WINDOWS_AT_ONCE = 32  # more bring no speed, and a recording is read so many hops at a time
HELD_TENSORS = 4  # of a frame in flight: x1, x_t, the sum of the windows, an earlier estimate
SAMPLING_S = 0.001


class Halving:
    """A denoiser that tries again with half the windows where memory runs out.

    The number that fitted is kept for what follows.

    Args:
        denoiser: of windows (B, ch, F, W), each of which it treats alone.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.most: int | None = None

    def __call__(self, xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None) -> Tensor:
        """Denoise as :data:`Denoiser`.

        Raises:
            ModelError: not even one window fits.
        """
        while True:
            size = min(len(xt), self.most or len(xt))
            outputs = self._tried(size, xt, t, x1, missing)
            if outputs is not None:
                return outputs
            self.most = max(1, size // 2)
            _release(xt.device)

    def _tried(
        self, size: int, xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None
    ) -> Tensor | None:
        """Return the outputs, of ``size`` windows at a time; None: memory ran out."""
        if size == len(xt):
            parts = [(xt, t, x1, missing)]
        else:
            places = [slice(first, first + size) for first in range(0, len(xt), size)]
            parts = [
                (xt[k], t[k], x1[k], None if missing is None else missing[k]) for k in places
            ]
        try:
            return torch.cat([self.denoiser(*part) for part in parts])
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if size == 1:
                raise ModelError(
                    f"memory ran out on {xt.device} with a single window of {xt.shape[-1]} frames: "
                    "free some, take another device, precision bf16, or a model of smaller windows"
                ) from error
        return None


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return "allocate memory" in text or "not enough memory" in text or "out of memory" in text


def fit_batch(
    sampler: Sampler, model: Model, precision: str, channels: int, max_bytes: int | None = None
) -> Sampler:
    """Return the sampler with as many windows at once as the memory of the device holds.

    Args:
        sampler: what it was given as its own limit is not exceeded.
        model: on its device.
        precision: of the network.
        channels: of the recording, sampled together.
        max_bytes: memory that the model and its work may take; by default a share of what is free.

    Raises:
        ModelError: not even one window fits in ``max_bytes``.
    """
    device = next(model.backbone.parameters()).device
    frames = sampler.frames_at_once
    if frames is None or (device.type == "cpu" and max_bytes is None):
        return sampler
    room = int(USABLE * free_bytes(device)) if max_bytes is None else max_bytes - _held_by(model)
    one = _window_bytes(model, precision, frames)
    most = 4 if device.type == "cpu" else WINDOWS_AT_ONCE
    values = channels * model.representation.channels * model.representation.rows
    while most > 1 and most * one + _in_flight(sampler, most, channels, values) > room:
        most //= 2
    needed = one + _in_flight(sampler, 1, channels, values)
    if max_bytes is not None and needed > room:
        raise ModelError(
            f"a memory of {_megabytes(max_bytes)} is too small: the model takes "
            f"{_megabytes(_held_by(model))}, its work on one window of {frames} frames and the "
            f"frames in flight {_megabytes(needed)}; allow more, take fewer steps, or precision "
            "bf16"
        )
    return sampler.with_batch(most)


def estimate_bytes(sampler: Sampler, model: Model, precision: str, channels: int) -> int:
    """Return about how much memory a model and its work take, at most.

    Of a sampler that must see the whole recording, it is that of the model alone.
    """
    frames = sampler.frames_at_once
    if frames is None:
        return _held_by(model)
    windows = getattr(sampler, "batch", 1)
    values = channels * model.representation.channels * model.representation.rows
    work = windows * _window_bytes(model, precision, frames)
    return _held_by(model) + work + _in_flight(sampler, windows, channels, values)


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device.

    An Apple GPU shares the machine's memory, and is to take only a part of it.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    if device.type == "mps":
        share = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return max(0, min(free, share))
    return free


def _release(device: torch.device) -> None:
    """Give back what the allocator keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _in_flight(sampler: Sampler, windows: int, channels: int, values: int) -> int:
    frames = sampler.with_batch(windows).frames_held(channels)
    return 4 * HELD_TENSORS * values * frames


def _held_by(model: Model) -> int:
    parts = [*model.parameters(), *model.buffers()]
    return sum(part.numel() * part.element_size() for part in parts)


def _window_bytes(model: Model, precision: str, frames: int) -> int:
    """Measure the memory that the evaluation of one window takes."""
    device, representation = next(model.backbone.parameters()).device, model.representation
    x = torch.zeros(1, representation.channels, representation.rows, frames, device=device)
    missing = torch.ones_like(x[:, :1], dtype=torch.bool)

    def evaluate() -> None:
        with torch.no_grad(), choose_autocast(device, precision):
            model.denoiser()(x, torch.ones(1, device=device), x, missing)

    if device.type == "cuda":
        peak = _cuda_peak(device, evaluate)
    else:
        peak = _mps_peak(evaluate) if device.type == "mps" else _process_peak(evaluate)
    return max(peak, 8 * x.numel() * x.element_size())


def _cuda_peak(device: torch.device, work: Callable[[], None]) -> int:
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return int(torch.cuda.max_memory_allocated(device)) - before


def _mps_peak(work: Callable[[], None]) -> int:
    """Its allocator keeps what it was given, so that the growth is the peak."""
    torch.mps.empty_cache()
    before = torch.mps.driver_allocated_memory()
    work()
    torch.mps.synchronize()
    return int(torch.mps.driver_allocated_memory()) - before


def _process_peak(work: Callable[[], None]) -> int:
    """Return by how much this process grows at most during some work."""
    process = psutil.Process()
    before = highest = int(process.memory_info().rss)
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(SAMPLING_S):
            highest = max(highest, int(process.memory_info().rss))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(highest, int(process.memory_info().rss)) - before


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
