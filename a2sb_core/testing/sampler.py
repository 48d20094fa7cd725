"""Laws of samplers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.sampler import (
    Estimate,
    Frames,
    Ranges,
    Sampler,
    SamplerStream,
    StepSampler,
)
from a2sb_core.interfaces.types import Noise
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Brownian, Call, as_denoiser, normal, region

KIND = "sampler"
CHANNELS, ROWS, FRAMES = 2, 4, 45
LONG = 240
"""Frames of a recording that is longer than what a sampler looks back."""
PUSHES = (7, 1, 16, 20, 1)
"""Frames of the pieces of a stream, again and again."""
ROUNDING = 1e-5


def build(case: Case) -> Sampler:
    """Make the component."""
    made: Sampler = case.config.build()
    return made


def _x1() -> Tensor:
    return normal(2, CHANNELS, ROWS, FRAMES, seed=1)


def _missing(items: int = 2) -> Tensor:
    return region(items, ROWS, FRAMES)


def _sample(sampler: Sampler, x1: Tensor, missing: Tensor | None, **more: Any) -> Tensor:
    denoiser = more.pop("denoiser", as_denoiser)
    noise = Noise(1, CHANNELS, ROWS)
    return sampler.sample(denoiser, Brownian.Config().build(), x1, missing, noise, **more)


def calls(case: Case) -> list[Call]:
    """Uses of a sampler."""
    sampler = build(case)
    return [
        Call("sample", lambda x1, missing: _sample(sampler, x1, missing), (_x1(), _missing())),
        Call("sample without a region", lambda x1: _sample(sampler, x1, None), (_x1(),)),
    ]


@law(KIND)
def perfect_denoiser_gives_x0(case: Case) -> None:
    """With a denoiser that knows x0, the result is x0."""
    x0 = (normal(2, CHANNELS, ROWS, FRAMES) * 64).round() / 64
    missing = _missing()
    everywhere = _sample(build(case), x0 + 1, None, denoiser=lambda xt, t, x1, m: x1 - 1)
    require_close(everywhere, x0, ROUNDING, "sample with a perfect denoiser, and x0")

    def perfect(xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None) -> Tensor:
        assert missing is not None
        return torch.where(missing, x1 - 1, x1)

    found = _sample(build(case), torch.where(missing, x0 + 1, x0), missing, denoiser=perfect)
    require_close(found, x0, ROUNDING, "sample with a perfect denoiser of the region, and x0")


@law(KIND)
def observed_content_is_kept(case: Case) -> None:
    """What is not missing comes back as it is in x1, to the bit, whatever the denoiser says."""
    x1, missing = _x1(), _missing()
    found = _sample(build(case), x1, missing)
    require(found.shape == x1.shape, f"sample makes {tuple(found.shape)} of {tuple(x1.shape)}")
    known = ~missing.expand_as(x1)
    require(torch.equal(found[known], x1[known]), "sample changes what is not missing")
    require_finite(found, "sample")


@law(KIND)
def times_are_told(case: Case) -> None:
    """The denoiser is told a time in (0, 1] for each item, none later than the one before."""
    told: list[Tensor] = []

    def denoiser(xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None) -> Tensor:
        require(t.shape == (len(xt),), f"the denoiser is told times {tuple(t.shape)}, not (B,)")
        told.append(t)
        return as_denoiser(xt, t, x1, missing)

    _sample(build(case), _x1(), _missing(), denoiser=denoiser)
    times = torch.stack([t.max() for t in told])
    inside = bool(((times > 0) & (times <= 1)).all())
    require(
        inside and bool((times.diff() <= 0).all()),
        f"the denoiser is told the times {times.tolist()}: they must fall within (0, 1]",
    )


@law(KIND)
def steps_are_reported(case: Case) -> None:
    """``on_step`` counts the steps, ``with_steps`` sets them, and what is raised ends it."""
    sampler = build(case)
    for wanted in (None, 3):
        seen: list[tuple[int, int]] = []
        chosen = sampler if wanted is None else sampler.with_steps(wanted)
        _sample(chosen, _x1(), _missing(), on_step=lambda *step, seen=seen: seen.append(step))
        count = wanted or len(seen)
        require(
            seen and seen == [(i + 1, count) for i in range(count)],
            f"on_step was called with {seen[:4]}...; (1, {count}) to ({count}, {count}) are wanted",
        )

    def stop(done: int, of: int) -> None:
        raise InterruptedError

    try:
        _sample(sampler, _x1(), _missing(), on_step=stop)
    except InterruptedError:
        return
    require(False, "what on_step raises is swallowed: an interruption must end the sampling")


@law(KIND)
def step_is_elementwise_in_frames(case: Case) -> None:
    """A StepSampler's step on a piece gives the piece of the whole."""
    sampler = build(case)
    if not isinstance(sampler, StepSampler):
        return  # the law of streams holds it to the same
    bridge = Brownian.Config().build()
    shape = (2, CHANNELS, ROWS, FRAMES)
    x0, xt, x1, before = (normal(*shape, seed=seed) for seed in (1, 2, 3, 4))
    noise = normal(CHANNELS, ROWS, FRAMES, seed=5)
    steps = sampler.steps()
    for k, step in enumerate(steps):
        if step.s == 0:
            continue
        earlier = Estimate(steps[k - 1].t, before) if sampler.looks_back and k else None
        whole = sampler.step(bridge, x0, xt, x1, replace(step, before=earlier), noise)
        cut = (..., slice(10, 23))
        part = None if earlier is None else Estimate(earlier.t, before[cut])
        piece = sampler.step(
            bridge, x0[cut], xt[cut], x1[cut], replace(step, before=part), noise[cut]
        )
        what = f"step {step.index} on frames 10 to 23 alone, and in the whole"
        require_close(piece, whole[cut], ROUNDING, what)


@law(KIND)
def stream_equals_whole(case: Case) -> None:
    """A recording that comes in pieces is sampled as in one, with and without a region."""
    sampler, x1 = build(case), _x1()
    for missing in (_missing(), None):
        whole = _sample(sampler, x1, missing)
        found = _streamed(sampler, x1, missing, torch.ones(FRAMES, dtype=torch.bool))
        require_close(found, whole, ROUNDING, "sampled as a stream, and in one piece")


@law(KIND)
def stream_needs_what_it_says(case: Case) -> None:
    """Frames outside of ``needed`` do not matter for those that are missing."""
    sampler, x1 = build(case), _x1()
    missing = torch.zeros(2, 1, ROWS, FRAMES, dtype=torch.bool)
    missing[..., 30:33] = True
    needed = sampler.needed(((30, 33),))
    whole = _sample(sampler, x1, missing)[..., 30:33]
    found = _streamed(sampler, x1, missing, _within(needed, FRAMES))[..., 30:33]
    require_close(found, whole, ROUNDING, f"sampled from the frames {needed}, and from all")


@law(KIND)
def warm_up_suffices(case: Case) -> None:
    """A stream of the first frames and those from ``warm_up`` on gives the very numbers of all."""
    sampler, x1 = build(case), normal(2, CHANNELS, ROWS, LONG, seed=1)
    missing = region(2, ROWS, LONG)
    whole = _streamed(sampler, x1, missing, torch.ones(LONG, dtype=torch.bool))
    for frame in (LONG // 2, LONG - 20):
        start = sampler.warm_up(frame, 2, 8)
        require(
            0 <= start <= frame and start % 8 == 0,
            f"warm_up({frame}, 2, 8) is {start}: no multiple of 8 from 0 to {frame}",
        )
        wanted = _within(sampler.needed(()), LONG)
        wanted[start:] = True
        found = _streamed(sampler, x1, missing, wanted)
        require_close(
            found[..., frame:], whole[..., frame:], 0.0,
            f"frames from {frame} on, of a stream from {start} on and of all",
        )


def _within(ranges: Ranges, frames: int) -> Tensor:
    """Return which frames lie in ranges, (frames,)."""
    wanted = torch.zeros(frames, dtype=torch.bool)
    for first, end in ranges:
        wanted[first : min(end, frames)] = True
    return wanted


def _streamed(sampler: Sampler, x1: Tensor, missing: Tensor | None, wanted: Tensor) -> Tensor:
    """Push the wanted frames in pieces; what never comes back is NaN."""
    noise = Noise(1, CHANNELS, ROWS)
    stream: SamplerStream = sampler.stream(as_denoiser, Brownian.Config().build(), noise)
    found = torch.full_like(x1, torch.nan)
    last = 0

    def take(pieces: list[Frames]) -> None:
        nonlocal last
        for piece in pieces:
            require(piece.start >= last, "a stream must return frames in order")
            last = piece.start + piece.x.shape[-1]
            found[..., piece.start : last] = piece.x

    for first, end in _pieces(wanted):
        part = None if missing is None else missing[..., first:end]
        take(stream.push(Frames(first, x1[..., first:end], part)))
    take(stream.finish(len(wanted)))
    return found


def _pieces(wanted: Tensor) -> Iterator[tuple[int, int]]:
    """Cut the wanted frames into ranges of uneven length."""
    sizes, first = itertools.cycle(PUSHES), 0
    while first < len(wanted):
        end = min(first + next(sizes), len(wanted))
        for is_wanted, run in itertools.groupby(range(first, end), lambda k: bool(wanted[k])):
            frames = list(run)
            if is_wanted:
                yield frames[0], frames[-1] + 1
        first = end
