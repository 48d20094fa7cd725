"""Laws of samplers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.differentiable import Measurement
from a2sb_core.interfaces.item import Degraded
from a2sb_core.interfaces.sampler import Estimate, Sampler, Step, StepSampler
from a2sb_core.interfaces.state import State
from a2sb_core.interfaces.types import Noise
from a2sb_core.interfaces.windows import Frames, Ranges, SamplerStream, WindowSampler
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, Spectra, Steady, as_denoiser, normal, region

KIND = "sampler"
CHANNELS, ROWS, FRAMES = 2, 4, 45
LONG = 240
"""Frames of a recording that is longer than what a sampler looks back."""
PUSHES = (7, 1, 16, 20, 1)
"""Frames of the pieces of a stream, again and again."""
ROUNDING = 1e-5
BRIDGE = Steady.Config().build()


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
    return sampler.sample(denoiser, BRIDGE, Degraded(x1, missing), noise, **more)


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
    everywhere = _sample(build(case), x0 + 1, None, denoiser=lambda state: state.x1 - 1)
    require_close(everywhere, x0, ROUNDING, "sample with a perfect denoiser, and x0")

    def perfect(state: State) -> Tensor:
        assert state.missing is not None
        return torch.where(state.missing, state.x1 - 1, state.x1)

    found = _sample(build(case), torch.where(missing, x0 + 1, x0), missing, denoiser=perfect)
    require_close(found, x0, ROUNDING, "sample with a perfect denoiser of the region, and x0")


@law(KIND)
def observed_content_is_kept(case: Case) -> None:
    """Known content stays as it is in x1, whatever the denoiser returns."""
    x1, missing = _x1(), _missing()
    found = _sample(build(case), x1, missing)
    require(found.shape == x1.shape, f"sample makes {tuple(found.shape)} of {tuple(x1.shape)}")
    known = ~missing.expand_as(x1)
    require(torch.equal(found[known], x1[known]), "sample changes what is not missing")
    require_finite(found, "sample")


@law(KIND)
def times_descend(case: Case) -> None:
    """The denoiser gets a time in (0, 1] for each item; the times do not increase."""
    seen: list[Tensor] = []

    def denoiser(state: State) -> Tensor:
        shape = tuple(state.t.shape)
        require(shape == (len(state.xt),), f"the denoiser gets times of shape {shape}, not (B,)")
        seen.append(state.t)
        return as_denoiser(state)

    _sample(build(case), _x1(), _missing(), denoiser=denoiser)
    times = torch.stack([t.max() for t in seen])
    inside = bool(((times > 0) & (times <= 1)).all())
    require(
        inside and bool((times.diff() <= 0).all()),
        f"the denoiser gets the times {times.tolist()}: they must fall within (0, 1]",
    )


@law(KIND)
def steps_are_reported(case: Case) -> None:
    """``with_steps`` sets the number of steps, and ``on_step`` counts them or raises to end."""
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
def guidance_comes_closer(case: Case) -> None:
    """A guided estimate is closer to the known content; a sampler that does not guide leaves it."""
    sampler, missing = build(case), _missing()
    x1, xt = _x1(), normal(2, CHANNELS, ROWS, FRAMES, seed=7)
    measurement = Measurement(None, None, Spectra.Config().build(), torch.ones(2))
    guided = sampler.guide(as_denoiser, measurement)
    if not sampler.guides:
        require(guided is as_denoiser, "`guide` changes the denoiser, but `guides` is False")
        return
    for time in (0.9, 0.5, 0.1):
        state = Degraded(x1, missing).state(xt, time)
        far, near = (
            (one(state) - x1).masked_fill(missing, 0).norm() for one in (as_denoiser, guided)
        )
        require(
            near < far,
            f"at t = {time:g} the distance of the guided estimate from the known content is "
            f"{float(near):.4g}, and without guidance {float(far):.4g}",
        )


@law(KIND)
def step_is_elementwise_in_frames(case: Case) -> None:
    """A StepSampler's step on some frames gives the same values as on all frames."""
    sampler, cut = build(case), slice(10, 23)
    for (step, whole), (_, piece) in zip(_steps(sampler), _steps(sampler, cut), strict=True):
        what = f"step {step.index} on frames 10 to 23 alone, and in the whole"
        require_close(piece, whole[..., cut], ROUNDING, what)


@law(KIND)
def noise_is_announced(case: Case) -> None:
    """A StepSampler's step uses its noise only where ``draws`` says so."""
    sampler = build(case)
    for (step, one), (_, other) in zip(_steps(sampler), _steps(sampler, seed=6), strict=True):
        require(
            torch.equal(one, other) or (isinstance(sampler, StepSampler) and sampler.draws(step)),
            f"step {step.index} depends on its noise, but `draws` says that it draws none",
        )


def _steps(
    sampler: Sampler, cut: slice = slice(None), seed: int = 5
) -> Iterator[tuple[Step, Tensor]]:
    """Yield the steps of a StepSampler with their results on some frames, for one noise."""
    if not isinstance(sampler, StepSampler):
        return  # the law of streams holds a window sampler to the same
    shape = (2, CHANNELS, ROWS, FRAMES)
    x0, xt, x1, earlier = (normal(*shape, seed=k)[..., cut] for k in (1, 2, 3, 4))
    noise = normal(*shape[1:], seed=seed)[..., cut]
    steps = sampler.steps()
    for k, step in enumerate(steps):
        if step.s != 0:
            before = Estimate(steps[k - 1].t, earlier) if sampler.looks_back and k else None
            state = Degraded(x1, None).state(xt, step.t)
            yield step, sampler.step(BRIDGE, x0, state, replace(step, before=before), noise)


@law(KIND)
def stream_equals_whole(case: Case) -> None:
    """A window sampler gives the same for a stream of pieces as for the whole recording."""
    sampler, x1 = build(case), _x1()
    if not isinstance(sampler, WindowSampler):
        return
    for missing in (_missing(), None):
        whole = _sample(sampler, x1, missing)
        found = _streamed(sampler, x1, missing, torch.ones(FRAMES, dtype=torch.bool))
        require_close(found, whole, ROUNDING, "sampled as a stream, and in one piece")


@law(KIND)
def stream_needs_what_it_says(case: Case) -> None:
    """Frames outside of ``needed`` do not affect the frames that are missing."""
    sampler, x1 = build(case), _x1()
    if not isinstance(sampler, WindowSampler):
        return
    missing = torch.zeros(2, 1, ROWS, FRAMES, dtype=torch.bool)
    missing[..., 30:33] = True
    needed = sampler.needed(((30, 33),))
    whole = _sample(sampler, x1, missing)[..., 30:33]
    found = _streamed(sampler, x1, missing, _within(needed, FRAMES))[..., 30:33]
    require_close(found, whole, ROUNDING, f"sampled from the frames {needed}, and from all")


@law(KIND)
def warm_up_suffices(case: Case) -> None:
    """A stream that skips to ``warm_up`` gives the same values bit for bit as one of all frames."""
    sampler, x1 = build(case), normal(2, CHANNELS, ROWS, LONG, seed=1)
    if not isinstance(sampler, WindowSampler):
        return
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
            found[..., frame:],
            whole[..., frame:],
            0.0,
            f"frames from {frame} on, of a stream from {start} on and of all",
        )


def _within(ranges: Ranges, frames: int) -> Tensor:
    """Return which frames lie in ranges, (frames,)."""
    wanted = torch.zeros(frames, dtype=torch.bool)
    for first, end in ranges:
        wanted[first : min(end, frames)] = True
    return wanted


def _streamed(sampler: WindowSampler, x1: Tensor, missing: Tensor | None, wanted: Tensor) -> Tensor:
    """Push the wanted frames in pieces and skip the others; frames never returned are NaN."""
    noise = Noise(1, CHANNELS, ROWS)
    stream: SamplerStream = sampler.stream(as_denoiser, BRIDGE, noise)
    found = torch.full_like(x1, torch.nan)
    last = 0

    def take(pieces: list[Frames]) -> None:
        nonlocal last
        for piece in pieces:
            require(piece.start >= last, "a stream must return frames in order")
            last = piece.start + piece.x.shape[-1]
            found[..., piece.start : last] = piece.x

    for first, end in _pieces(wanted):
        if not wanted[first]:
            take(stream.skip(end))
            continue
        part = None if missing is None else missing[..., first:end]
        take(stream.push(Frames(first, x1[..., first:end], part)))
    take(stream.finish(len(wanted)))
    return found


def _pieces(wanted: Tensor) -> Iterator[tuple[int, int]]:
    """Cut all frames into ranges of uneven length, each wanted or not."""
    sizes, first = itertools.cycle(PUSHES), 0
    while first < len(wanted):
        end = min(first + next(sizes), len(wanted))
        for _, run in itertools.groupby(range(first, end), lambda k: bool(wanted[k])):
            frames = list(run)
            yield frames[0], frames[-1] + 1
        first = end
