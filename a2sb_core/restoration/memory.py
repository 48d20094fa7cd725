"""Memory: an upper bound of what a restoration holds, and the number of windows that fit."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import itemgetter

import torch
from torch import Tensor

from a2sb_core.common.text import format_bytes
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.devices.memory import free_bytes, peak_bytes, ran_out, release
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import ENDLESS, Denoiser, Frames, MaskCorruption, State
from a2sb_core.interfaces.recording import BLOCK_S
from a2sb_core.models.model import Model
from a2sb_core.restoration.changes import DECODED_FRAMES, Changes
from a2sb_core.restoration.digital_silence import MIRRORED
from a2sb_core.restoration.guidance import plan_denoiser, windows_together
from a2sb_core.restoration.pieces import ENCODED_FRAMES, reach_of, samples_for
from a2sb_core.restoration.plan import LOOKAHEAD_S, Plan

USABLE = 0.8  # share of the free memory
WINDOWS_AT_ONCE = 32  # more are not faster, and as many hops of a recording are read at once
HELD_TENSORS = 4.25  # per frame in flight: x1, x_t, sum of windows, earlier estimate, mask
WAITING_TENSORS = 1.25  # per frame that is restored but not yet decoded: x0, mask
CALL_TENSORS = 6  # per frame of an evaluation, besides the network: inputs, masks and outputs
GUESS_TENSORS = 10  # per frame that is observed with context: spectra, copies and encodings
MEASURED_FRAMES = 1024  # longer windows are estimated from this one
STEEPER = 2.5  # more than this for twice the frames is quadratic growth
BLOCK_COPIES = 4  # of the block that is read, while it is resampled
OTHER_BYTES = 64 << 20  # libraries that are loaded during the work, and gaps between allocations


class Memory:
    """Estimates the memory of restorations by one model, and fits them into a limit.

    The estimate is an upper bound for recordings of any length and any damage::

        weights + frames in flight + audio + the larger of network and decoding

    The network and the decoding are measured, once for each model. On a GPU, audio is held in the
    memory of the host and does not count.

    Args:
        model: the model on its device.
        precision: precision of the network.
        max_bytes: memory of the device that the model and its work may use (default: on a GPU a
            share of the free memory, on a CPU no limit).
    """

    def __init__(self, model: Model, precision: str, max_bytes: int | None = None) -> None:
        self.model, self.precision, self.max_bytes = model, precision, max_bytes
        self.device = next(model.backbone.parameters()).device
        self._measured: dict[tuple[int, int, bool], int] = {}  # bytes of an evaluation of a window
        self._decoding: int | None = None

    def fit(self, plan: Plan) -> Plan:
        """Return the plan with as many windows at once as fit, and no more than its sampler allows.

        Raises:
            ModelError: not even one window fits in ``max_bytes``, or the sampler needs the whole
                recording, whose length is unknown.
        """
        is_cpu = self.device.type == "cpu"
        if self.max_bytes is None and (is_cpu or plan.sampler.window is None):
            return plan
        limit = self.max_bytes
        if limit is None:
            limit = self._weights() + int(USABLE * free_bytes(self.device))
        most = 4 if is_cpu else WINDOWS_AT_ONCE
        while (
            needed := self.estimate(fitted := replace(plan, sampler=plan.sampler.with_batch(most)))
        ) > limit and most > 1:
            most //= 2
        if self.max_bytes is not None and needed > limit:
            raise ModelError(
                f"a memory of {format_bytes(limit)} is too small: the model uses "
                f"{format_bytes(self._weights())}, and its work on one window at a time "
                f"{format_bytes(needed - self._weights())}; allow more memory, or use fewer steps "
                "or precision bf16"
            )
        return fitted

    def estimate(self, plan: Plan) -> int:
        """Return an upper bound of the memory of the device that a restoration uses, in bytes.

        Raises:
            ModelError: the sampler needs the whole recording, whose length is unknown.
        """
        representation = self.model.representation
        items = plan.channels // representation.audio_channels
        window = plan.sampler.window or self._all_frames(plan)
        sampled = plan.frames_to_sample(representation) or ENDLESS
        in_flight = plan.sampler.frames_held(items) if plan.sampler.window else window
        in_flight = min(in_flight + ENCODED_FRAMES, sampled + window)
        decoded = DECODED_FRAMES + 2 * self._context()
        waiting = min(decoded + self._frames_of(BLOCK_S), sampled)
        called = max(plan.sampler.batch, items) * window
        frames = items * (HELD_TENSORS * in_flight + WAITING_TENSORS * waiting)
        halo = 2 * plan.damage.corruption.halo(representation)
        observed = items * GUESS_TENSORS * (ENCODED_FRAMES + halo) if halo else 0
        values = frames + CALL_TENSORS * called + observed
        held = 4 * representation.channels * representation.rows * values
        decoding = items * self._decoding_bytes() * min(1, waiting / decoded)
        held += max(plan.sampler.batch * self._window_bytes(window, plan), decoding)
        if self.device.type == "cpu":
            held += OTHER_BYTES + self._audio_bytes(plan, in_flight + waiting + halo)
        return self._weights() + math.ceil(held)

    def _all_frames(self, plan: Plan) -> int:
        frames = plan.frames(self.model.representation)
        if frames is None:
            raise ModelError(
                "the sampler of the model needs the whole recording, so its memory depends on the "
                "length, which is unknown: restore a file, state the length (samples=...), leave "
                "out the limit, or use a sampler with windows"
            )
        return frames

    def _audio_bytes(self, plan: Plan, frames: int) -> float:
        """Return the memory of the audio between the oldest sample in work and the newest one."""
        own = self.model.representation.sample_rate
        held_s = frames * self.model.representation.stride / own
        finisher = plan.finisher
        finished_s = 0.0 if finisher is None else finisher.held_s + BLOCK_S
        # The input, which may be kept twice, has up to 8 bytes a sample, and all other audio 4.
        values = held_s * (4 * own + 20 * plan.output_rate) + 3 * 8 * finished_s * plan.output_rate
        values += 8 * plan.sample_rate * (LOOKAHEAD_S if plan.samples is None else 0)
        values += BLOCK_COPIES * 4 * MIRRORED
        rates = 8 * plan.sample_rate + 8 * plan.output_rate + 4 * own
        return plan.channels * (values + BLOCK_COPIES * BLOCK_S * rates)

    def _frames_of(self, seconds: float) -> int:
        representation = self.model.representation
        return math.ceil(seconds * representation.sample_rate / representation.stride)

    def _context(self) -> int:
        representation = self.model.representation
        return reach_of(representation) + representation.refine_context

    def _weights(self) -> int:
        parts = [*self.model.parameters(), *self.model.buffers()]
        runtime = self.model.runtime
        return sum(part.numel() * part.element_size() for part in parts) + (
            0 if runtime is None else runtime.bytes
        )

    def _window_bytes(self, frames: int, plan: Plan) -> int:
        """Return the memory of the evaluation of one window."""
        if frames <= MEASURED_FRAMES or self.model.runtime is not None:  # of a fixed window
            return self._measured_bytes(frames, plan)
        sizes = (MEASURED_FRAMES // 2, MEASURED_FRAMES)
        half, full = (self._measured_bytes(n, plan) for n in sizes)
        return math.ceil(full * (frames / MEASURED_FRAMES) ** (2 if full > STEEPER * half else 1))

    def _measured_bytes(self, frames: int, plan: Plan) -> int:
        together = windows_together(self.model, plan)
        is_mask = not plan.sampler.guides or isinstance(plan.damage.corruption, MaskCorruption)
        key = frames, together, is_mask
        if key not in self._measured:
            representation = self.model.representation
            sizes = representation.channels, representation.rows, frames
            x = torch.zeros(together, *sizes, device=self.device)
            missing = torch.ones_like(x[:, :1], dtype=torch.bool) if is_mask else None
            state = State(x, torch.ones(together, device=self.device), x, missing)

            def evaluate() -> None:
                with torch.no_grad(), choose_autocast(self.device, self.precision):
                    plan_denoiser(self.model, plan)(state)

            peak = max(peak_bytes(self.device, evaluate), 8 * x.numel() * x.element_size())
            self._measured[key] = math.ceil(peak / together)
        return self._measured[key]

    def _decoding_bytes(self) -> int:
        """Return the memory of the conversion of restored frames of one item to audio."""
        if self._decoding is None:
            representation = self.model.representation
            frames = 3 * DECODED_FRAMES  # the frames in the middle have context on both sides
            x = torch.zeros(1, representation.channels, representation.rows, frames)
            x = x.to(self.device)
            missing = torch.ones_like(x[:, :1], dtype=torch.bool)

            def read(start: int, stop: int) -> Tensor:
                return torch.zeros(representation.audio_channels, stop - start, device=self.device)

            def convert() -> None:
                changes = Changes(
                    representation, ((0, ENDLESS),), read, lambda z: None, DECODED_FRAMES
                )
                changes.take([Frames(0, x, missing)])
                with torch.no_grad():
                    next(changes.ready(samples_for(representation, frames), None))

            self._decoding = peak_bytes(self.device, convert)
        return self._decoding


class Halving:
    """A denoiser of a limited number of windows, which halves it if memory runs out.

    Later calls use the number of windows that fitted.

    Args:
        denoiser: denoiser of windows (B, ch, F, W), which it treats independently.
        most: largest number of windows at once.
        together: number of consecutive windows that are never separated.
    """

    def __init__(self, denoiser: Denoiser, most: int, together: int = 1) -> None:
        self.denoiser, self.together = denoiser, together
        self.most = self._whole(most)

    def __call__(self, state: State) -> Tensor:
        """Estimate x0 from a state, see :data:`Denoiser`.

        Raises:
            ModelError: not even one window fits.
        """
        windows = len(state.xt)
        while True:
            size = min(windows, self.most)
            outputs = self._tried(size, state)
            if outputs is not None:
                return outputs
            self.most = self._whole(size // 2)
            release(state.xt.device)

    def _whole(self, windows: int) -> int:
        return max(1, windows // self.together) * self.together

    def _tried(self, size: int, state: State) -> Tensor | None:
        """Return the outputs, evaluated ``size`` windows at a time; None if memory ran out."""
        windows, device = len(state.xt), state.xt.device
        places = [slice(first, first + size) for first in range(0, windows, size)]
        parts = [state.map(itemgetter(place), state.t[place]) for place in places]
        try:
            return torch.cat([self.denoiser(part) for part in parts])
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if size <= self.together:
                raise ModelError(
                    f"memory ran out on {device} with a single window of {state.xt.shape[-1]} "
                    "frames: free some memory, or use another device, precision bf16, or a model "
                    "with smaller windows"
                ) from error
        return None
