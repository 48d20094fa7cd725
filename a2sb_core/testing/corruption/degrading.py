"""Laws of corruptions in training: what is drawn, and what it does to an item."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from a2sb_core.audio.stretches import blank
from a2sb_core.errors import TaskError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.item import Degraded, Item
from a2sb_core.testing.compare import equal, require_close, require_finite
from a2sb_core.testing.corruption.samples import (
    KIND,
    SAMPLES,
    SECONDS,
    SIZES,
    build,
    channels_for,
    drawn,
    item_of,
    items_of_sizes,
    mask_of,
    noise_for,
    trials,
    with_unit,
)
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, sound

FINE = 2048
"""Samples of frames whose rows are 22 Hz apart, for damage that is narrow."""
DRAWS = 100
GUESS_TOLERANCE = 1e-3
"""Tolerance of a guess from a piece, whose transforms round differently."""
PIECES = ((11, 37), (60, 86))
"""Frames (first, end) of pieces of the same shape."""


@law(KIND)
def items_are_not_changed(case: Case) -> None:
    """Neither the audio of an item nor its representation is written to."""
    corruption = build(case)
    for item in items_of_sizes(corruption):
        wave, z = item.wave.clone(), item.z.clone()
        for parameters in drawn(corruption, 2):
            corruption.degrade(item, parameters, noise_for(item))
            corruption.observe(item, parameters, noise_for(item))
        require(torch.equal(item.wave, wave), "the item's wave is changed: work on a copy")
        require(torch.equal(item.z, z), "the item's z is changed: work on a copy")


@law(KIND)
def missing_is_boolean(case: Case) -> None:
    """``missing`` is boolean and broadcasts to (B, 1, F, W), or None; x1 has the shape of z."""
    corruption = build(case)
    for item, parameters in trials(corruption):
        for degraded in _both(corruption, item, parameters):
            require(
                degraded.x1.shape == item.z.shape,
                f"x1 is {tuple(degraded.x1.shape)}, z is {tuple(item.z.shape)}",
            )
            if degraded.missing is not None:
                _require_mask(degraded.missing, item.z)


def _both(corruption: Corruption, item: Item, parameters: Any) -> tuple[Degraded, Degraded]:
    noise = noise_for(item)
    return corruption.degrade(item, parameters, noise), corruption.observe(item, parameters, noise)


def _require_mask(missing: Tensor, z: Tensor) -> None:
    require(missing.dtype == torch.bool, f"missing is {missing.dtype}, not boolean")
    wanted = (len(z), 1, *z.shape[2:])
    fits = missing.ndim == 4 and all(
        have in (1, size) for have, size in zip(missing.shape, wanted, strict=True)
    )
    require(fits, f"missing is {tuple(missing.shape)} and does not broadcast to {wanted}")


@law(KIND)
def damage_is_done(case: Case) -> None:
    """At least a quarter of the draws damage something, and no draw removes everything.

    A corruption without parameters may remove everything, as for unconditional generation.
    """
    corruption = build(case)
    items = items_of_sizes(corruption, (*SIZES, FINE))
    damaging, many = 0, drawn(corruption)
    for parameters in many:
        changed = False
        for item in items:
            degraded = corruption.degrade(item, parameters, noise_for(item))
            changed |= not torch.equal(degraded.x1, item.z)
            require(
                degraded.missing is None
                or not degraded.missing.all()
                or not type(parameters).model_fields,
                f"with {parameters!r} everything is missing: nothing is left to restore it from",
            )
        damaging += changed
    require(
        4 * damaging >= len(many),
        f"only {damaging} of {len(many)} draws damage anything, so there is little to learn: "
        f"draw damage within an item of {SECONDS:.4f} s",
    )


@law(KIND)
def silence_stays_finite(case: Case) -> None:
    """Silence is degraded and observed without NaN, in one channel and in all."""
    corruption = build(case)
    half = sound(SAMPLES, channels_for(corruption))
    half[0] = 0
    for wave in (half, torch.zeros_like(half)):
        item = item_of(corruption, wave)
        for parameters in drawn(corruption, 2):
            for degraded in _both(corruption, item, parameters):
                require_finite(degraded.x1, f"silence degraded with {parameters!r}")


@law(KIND)
def damage_follows_the_rate(case: Case) -> None:
    """Damage that is stated in Hz or seconds changes other samples at another sample rate."""
    corruption, is_done = build(case), False
    wave = sound(SAMPLES, channels_for(corruption))
    asked = [one for one in drawn(corruption) if with_unit(one)]
    for size, parameters in itertools.product((SIZES[0], FINE), asked):
        item, slower = (item_of(corruption, wave, size, rate) for rate in (RATE, RATE // 2))
        one, other = (corruption.degrade(x, parameters, noise_for(x)) for x in (item, slower))
        if not equal(one, other):
            return
        is_done |= not torch.equal(one.x1, item.z)
    require(
        not is_done,
        f"the same samples are damaged alike at {RATE} and {RATE // 2} Hz with all of {asked}: "
        "convert Hz and seconds by the sample rate that is passed in",
    )


@law(KIND)
def masks_know_no_rows(case: Case) -> None:
    """The missing region is the same in Hz and seconds for a representation of finer rows."""
    corruption = build(case)
    coarse, fine = items_of_sizes(corruption)
    for parameters in drawn(corruption):
        one, other = (mask_of(corruption, item, parameters) for item in (coarse, fine))
        if one is None or other is None:
            continue
        require(
            torch.equal(one.any(dim=-1), other.any(dim=-1)[:, :, ::2]),
            f"with {parameters!r} other frequencies are missing where rows are "
            f"{RATE / SIZES[1]:.0f} Hz apart than where they are {RATE / SIZES[0]:.0f} Hz: ask the "
            "grid for Hz, never for numbers of rows",
        )
        shares = [float(mask.any(dim=2).float().mean()) for mask in (one, other)]
        require(
            0 in shares or abs(shares[0] - shares[1]) <= 3 * SIZES[1] / SAMPLES,
            f"with {parameters!r} {shares[0]:.0%} of the time is missing in frames of "
            f"{SIZES[0]} samples and {shares[1]:.0%} in frames of {SIZES[1]}: ask the grid for "
            "seconds, never for numbers of frames",
        )


@law(KIND)
def untouched_outside_missing(case: Case) -> None:
    """Content that is not missing is that of the item bit for bit."""
    corruption = build(case)
    for item, parameters in trials(corruption):
        for name, one in zip(
            ("degrade", "observe"), _both(corruption, item, parameters), strict=True
        ):
            if one.missing is None:
                continue
            known = ~one.missing.expand(len(item.z), 1, *item.z.shape[2:]).expand_as(item.z)
            require(
                torch.equal(one.x1[known], item.z[known]),
                f"{name} with {parameters!r} changes content that is not missing",
            )


@law(KIND)
def observe_looks_at_the_known_only(case: Case) -> None:
    """An observation does not depend on the values in place of missing content."""
    corruption = build(case)
    for item, parameters in trials(corruption):
        seen = corruption.observe(item, parameters, noise_for(item))
        if seen.missing is None:
            continue
        z = torch.where(seen.missing, 3 - 2 * item.z, item.z)
        other = Item(_other_wave(corruption, parameters, item, z), z, item.representation)
        again = corruption.observe(other, parameters, noise_for(item))
        require(
            torch.equal(again.x1, seen.x1) and torch.equal(again.missing, seen.missing),  # type: ignore[arg-type]
            f"observe with {parameters!r} depends on content that is missing: "
            "in a recording that is really damaged anything may stand there",
        )


def _other_wave(corruption: Corruption, parameters: Any, item: Item, z: Tensor) -> Tensor:
    """Return audio that differs from that of an item only in what is lost, or else missing."""
    lost = corruption.lost(parameters)
    if not lost:
        return item.representation.decode(z, SAMPLES)
    kept = blank(torch.ones_like(item.wave), lost, item.representation.sample_rate)
    return torch.where(kept > 0, item.wave, 0.5 - 2 * item.wave)


@law(KIND)
def observing_in_pieces(case: Case) -> None:
    """A piece of a recording is observed as it is within the whole recording."""
    corruption = build(case)
    for item, parameters in trials(corruption):
        whole = corruption.observe(item, parameters, noise_for(item))
        for first, stop in PIECES:
            piece, used = _cut(item, first, stop, corruption.halo(item.representation))
            part = corruption.observe(piece, parameters, noise_for(item))
            require_close(
                part.x1[..., used],
                whole.x1[..., first:stop],
                GUESS_TOLERANCE if corruption.context_s else 0.0,
                f"frames {first} to {stop} observed alone (`Item.start` says which they are, and "
                f"`context_s` which others they depend on) and in the whole, with {parameters!r}",
            )


def _cut(item: Item, first: int, stop: int, halo: int) -> tuple[Item, slice]:
    """Return the frames from ``first`` to ``stop`` of an item with context, and their place."""
    stride = item.representation.stride
    low, high = max(0, first - halo), min(item.z.shape[-1], stop + halo)
    wave, z = item.wave[:, low * stride : high * stride], item.z[..., low:high]
    used = slice(first - low, stop - low)
    return Item(wave, z, item.representation, low, (used.start, used.stop)), used


@law(KIND)
def parameters_lie_in_their_ranges(case: Case) -> None:
    """``draw`` returns ``Parameters`` within the declared ranges and within the audio."""
    corruption = build(case)
    for parameters in drawn(corruption, DRAWS):
        require(
            isinstance(parameters, corruption.Parameters),
            f"draw returns {type(parameters).__name__}, not {corruption.Parameters.__name__}",
        )
        for name, values in {**corruption.ranges, **case.ranges}.items():
            value = getattr(parameters, name)
            require(
                value in values
                or (isinstance(value, int | float) and min(values) <= value <= max(values)),
                f"{name} = {value} is not in the range {values}",
            )
        for start, end in corruption.stretches(parameters) or ():
            require(
                0 <= start < end <= SECONDS + 1 / RATE,
                f"stretch {start}:{end} does not lie in an item of {SECONDS:.4f} s",
            )


@law(KIND)
def parameters_are_json(case: Case) -> None:
    """The parameters of each task are unchanged after they are written as JSON and read."""
    corruption = build(case)
    for task in corruption.tasks():
        served = corruption.for_task(task)
        for parameters in drawn(served):
            try:
                again = served.Parameters.model_validate_json(parameters.model_dump_json())
            except ValueError as error:
                require(False, f"{parameters!r} cannot be written as JSON and read: {error}")
            same = repr(again) == repr(parameters)  # np.float64(1) equals 1, but is not JSON
            require(same, f"{parameters!r} is read from JSON as {again!r}")


@law(KIND)
def draws_vary(case: Case) -> None:
    """Several draws from one generator are not all the same."""
    many = drawn(build(case), DRAWS)
    fixed = not type(many[0]).model_fields
    require(
        fixed or any(one != many[0] for one in many),
        f"{DRAWS} draws from one generator are all {many[0]!r}",
    )


@law(KIND)
def tasks_are_served(case: Case) -> None:
    """Each task that it names is served by a corruption; others are refused with a TaskError."""
    corruption = build(case)
    require(corruption.tasks(), "it names no task")
    for task in corruption.tasks():
        served = corruption.for_task(task)
        require(isinstance(served, Corruption), f"for_task({task!r}) is no corruption")
        require(task in served.tasks(), f"for_task({task!r}) does not name that task")
    try:
        corruption.for_task("no such task")
    except TaskError:
        return
    require(False, "for_task takes a task that is not served: raise a TaskError")
