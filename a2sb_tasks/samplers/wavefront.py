"""MultiDiffusion of a stream: the values of the whole file in the memory of a few hops.

With W = m H, window k at a step depends only on windows k-m+1 to k+m-1 of the previous step. The
file is therefore read once, some hops at a time. After each read, every step in turn evaluates the
windows that are complete, and passes the hops that no later window overlaps to the next step.
Between two reads, each step holds m-1 hops, so that S steps hold (m-1) S hops for any length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from a2sb_core.interfaces import (
    Bridge,
    Degraded,
    Denoiser,
    Estimate,
    Frames,
    Noise,
    OnFrames,
    SamplerStream,
    Step,
    StepSampler,
)


@dataclass
class Hop:
    """A hop of frames in flight; ``total`` and ``norm`` are the sums of (20).

    ``is_wanted`` is whether it contains missing content. The tensors are modified in place, because
    repeated allocations of long-lived tensors would fragment the memory.
    """

    x1: Tensor
    missing: Tensor | None
    is_wanted: bool
    x: Tensor
    total: Tensor
    norm: Tensor
    before: Estimate | None = None
    is_estimated: bool = False

    def add(self, output: Tensor, weight: Tensor) -> None:
        """Add the weighted output of a window."""
        weight = weight.to(self.x)
        self.total += weight * output.to(self.x)
        self.norm += weight
        self.is_estimated = True

    def estimate(self) -> Tensor:
        """Return the average of the windows, or x1 if nothing is missing and none was evaluated."""
        if not self.is_estimated:
            return self.x1
        return self.total / self.norm.clamp(min=torch.finfo(self.norm.dtype).tiny)

    def move(self, x: Tensor, before: Estimate | None) -> None:
        """Start the next step at ``x``."""
        self.x.copy_(x)
        self.total.zero_()
        self.norm.zero_()
        self.before, self.is_estimated = before, False


Evaluate = Callable[[list[Tensor], Tensor, list[Tensor], list[Tensor] | None], list[Tensor]]


class Wavefront(SamplerStream):
    """Runs a :class:`StepSampler` over windows of a stream.

    Args:
        inner: sampler of the steps.
        denoiser: denoiser of windows (B, ch, F, W).
        bridge: the random process.
        noise: noise as a function of place.
        weights: weights of the frames of a window, (W,).
        hop: number of frames H between windows, a divisor of W.
        batch: largest number of windows evaluated at once, and number of hops read at a time.
        on_host: whether the hops in flight are kept in the memory of the host.
        on_frames: see :meth:`WindowSampler.stream`.
    """

    def __init__(
        self,
        inner: StepSampler,
        denoiser: Denoiser,
        bridge: Bridge,
        noise: Noise,
        weights: Tensor,
        hop: int,
        batch: int,
        on_host: bool = False,
        on_frames: OnFrames | None = None,
    ) -> None:
        self.inner, self.denoiser, self.bridge, self.noise = inner, denoiser, bridge, noise
        self.weights, self.window, self.hop, self.batch = weights, len(weights), hop, batch
        self.on_host, self.on_frames = on_host, on_frames
        self.steps = inner.steps()
        self.flight: list[dict[int, Hop]] = [{} for _ in self.steps]
        self.next_window = [0] * len(self.steps)
        self.loose: list[Frames] = []  # frames that do not fill a hop yet
        self.head: list[Frames] = []  # the first window, with which the end is padded
        self.position = 0
        self.at_once = 1
        self.device = noise.device

    def push(self, piece: Frames) -> list[Frames]:
        """Add frames of x1; a piece after omitted frames must start at a multiple of the hop."""
        if piece.start != self.position and (self.loose or piece.start % self.hop):
            raise ValueError(
                f"frames {self.position} to {piece.start} were omitted, which are not whole hops "
                f"of {self.hop} frames"
            )
        self.device = piece.x.device
        self._remember_head(piece)
        self._cut(piece)
        self.at_once = max(1, self.batch // len(piece.x))
        return self._run(self._arrived(self.position))

    def skip(self, frame: int) -> list[Frames]:
        """Run the windows before a stretch of omitted frames, so that none waits for its end."""
        return self._run(self._arrived(frame))

    def _arrived(self, frame: int) -> int:
        """Return the number of hops before a frame, in whole batches of windows."""
        return frame // self.hop // self.at_once * self.at_once

    def finish(self, frames: int) -> list[Frames]:
        """Pad the end with the first frames, as in Algorithm 1, and run the remaining windows."""
        if self.position == frames:
            hops = -(-max(0, frames - self.window) // self.hop)
            self._cut(self._padding(frames, self.window + hops * self.hop))
        restored = self._run(-(-self.position // self.hop), is_last=True)
        return [_shortened(piece, frames) for piece in restored if piece.start < frames]

    def _remember_head(self, piece: Frames) -> None:
        if piece.start < self.window:
            self.head.append(_shortened(piece, self.window))

    def _padding(self, frames: int, total: int) -> Frames:
        if not self.head or self.head[0].start != 0:
            raise ValueError("the first frames, with which the end is padded, were omitted")
        head = _joined(self.head)
        place = torch.arange(frames, total, device=head.x.device) % frames
        return Frames(
            frames, head.x[..., place], None if head.missing is None else head.missing[..., place]
        )

    def _cut(self, piece: Frames) -> None:
        """Cut frames into hops."""
        if not piece.x.shape[-1]:
            return
        loose = _joined([*self.loose, piece])
        self.position = piece.start + piece.x.shape[-1]
        whole = loose.x.shape[-1] // self.hop * self.hop
        for j, is_wanted in enumerate(self._wanted(loose, whole // self.hop)):
            place = slice(j * self.hop, (j + 1) * self.hop)
            x1 = self._stored(loose.x[..., place])
            missing = None if loose.missing is None else self._stored(loose.missing[..., place])
            self.flight[0][loose.start // self.hop + j] = Hop(
                x1,
                missing,
                is_wanted,
                x=self._start(loose, j),
                total=torch.zeros_like(x1),
                norm=torch.zeros_like(x1[0, 0, 0]),
            )
        rest = None if loose.missing is None else loose.missing[..., whole:]
        left = Frames(loose.start + whole, loose.x[..., whole:], rest)
        self.loose = [left] if left.x.shape[-1] else []

    def _wanted(self, loose: Frames, hops: int) -> list[bool]:
        """Return whether each hop has missing content, by one transfer from the device."""
        if loose.missing is None:
            return [True] * hops
        frames = loose.missing[..., : hops * self.hop].flatten(0, 2).any(dim=0)
        answers: list[bool] = frames.reshape(hops, self.hop).any(dim=1).tolist()
        return answers

    def _start(self, loose: Frames, j: int) -> Tensor:
        """Return x_t of a hop at t = 1."""
        x1 = loose.x[..., j * self.hop : (j + 1) * self.hop]
        return self._stored(self.bridge.start(x1, self.noise, loose.start + j * self.hop))

    def _stored(self, x: Tensor) -> Tensor:
        """Copy a hop to the memory of those in flight; a view would keep its whole piece alive."""
        return x.to("cpu" if self.on_host else x.device, copy=True)

    def _run(self, arrived: int, is_last: bool = False) -> list[Frames]:
        """Run every step on the hops before ``arrived``; return the hops after the last step."""
        restored: list[Frames] = []
        for i, step in enumerate(self.steps):
            stop = arrived if is_last else arrived - self.window // self.hop + 1
            if stop <= self.next_window[i]:
                break
            self._evaluate(i, stop)
            for index in sorted(k for k in self.flight[i] if k < stop):
                hop = self.flight[i].pop(index)
                self._advance(hop, index, step)
                if i + 1 < len(self.steps):
                    self.flight[i + 1][index] = hop
                else:
                    restored.append(Frames(index * self.hop, hop.x, hop.missing))
                if self.on_frames is not None:
                    self.on_frames(self.hop / len(self.steps))
            self.next_window[i] = arrived = stop
        return restored

    def _evaluate(self, i: int, stop: int) -> None:
        """Evaluate the complete windows before ``stop`` that have missing content."""
        hops, count = self.flight[i], self.window // self.hop
        whole = (
            [hops[k + j] for j in range(count)]
            for k in sorted(hops)
            if k < stop and all(k + j in hops for j in range(count))
        )
        windows = [members for members in whole if any(member.is_wanted for member in members)]
        if not windows:
            return
        per_call = max(1, self.batch // len(windows[0][0].x))
        for first in range(0, len(windows), per_call):
            self._average(windows[first : first + per_call], self.steps[i])

    def _average(self, windows: list[list[Hop]], step: Step) -> None:
        """Evaluate windows together and add the outputs to their hops, (20)."""
        items = len(windows[0][0].x)
        xt, x1 = self._gathered(windows, "x"), self._gathered(windows, "x1")
        has_regions = windows[0][0].missing is not None
        missing = self._gathered(windows, "missing") if has_regions else None
        outputs = self.denoiser(Degraded(x1, missing).state(xt, step.t))
        for members, output in zip(windows, torch.split(outputs, items), strict=True):
            for j, member in enumerate(members):
                part = slice(j * self.hop, (j + 1) * self.hop)
                member.add(output[..., part], self.weights[part])

    def _gathered(self, windows: list[list[Hop]], name: str) -> Tensor:
        """Join a field of the hops of each window; the items of the first window are first."""
        joined = [
            torch.cat([getattr(member, name) for member in members], dim=-1) for members in windows
        ]
        return torch.cat(joined).to(self.device)

    def _advance(self, hop: Hop, index: int, step: Step) -> None:
        """Move a hop, all of whose windows are evaluated, to the next time."""
        x, x0 = self.inner.advance(
            self.bridge,
            hop.estimate(),
            Degraded(hop.x1, hop.missing).state(hop.x, step.t),
            replace(step, before=hop.before),
            self.noise,
            index * self.hop,
        )
        hop.move(x, Estimate(step.t, x0) if self.inner.looks_back else None)


def _joined(pieces: list[Frames]) -> Frames:
    regions = [piece.missing for piece in pieces if piece.missing is not None]
    return Frames(
        pieces[0].start,
        torch.cat([piece.x for piece in pieces], dim=-1),
        torch.cat(regions, dim=-1) if regions else None,
    )


def _shortened(piece: Frames, end: int) -> Frames:
    """Remove the frames from ``end`` on."""
    n = end - piece.start
    missing = None if piece.missing is None else piece.missing[..., :n]
    return Frames(piece.start, piece.x[..., :n], missing)
