"""Laws of the inspection: what a corruption finds in a recording, and accepts of the user."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from a2sb_core.errors import AudioError, TaskError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.recording import Recording
from a2sb_core.plugins.component_config import FrozenConfig
from a2sb_core.testing.corruption.samples import (
    BLOCKS,
    KIND,
    SECONDS,
    SIZES,
    build,
    channels_for,
    damaged_recording,
    drawn,
    in_blocks,
    inspected,
    item_of,
    noise_for,
    require_stretches,
    undamaged,
    whole_mask,
    with_unit,
)
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, music

LONG = 50
"""Times the length of the recording, for damage that cannot lie within it."""
MUSIC_S = 2.0
"""Length of the recordings in which damage is searched, in seconds."""
FRAME = 2048
"""Samples of the frames of these recordings; one frame is all of a recording for damage that is the
same at all times, so that bands end sharply."""
SEARCHES = 3
OTHER_RATES = (22050, 48000)


@law(KIND)
def inspection_answers(case: Case) -> None:
    """``inspect`` returns Parameters or None, or raises a TaskError, or an AudioError for NaN.

    The stretches that it finds lie within the recording.
    """
    corruption = build(case)
    for is_broken in (False, True):
        found = inspected(corruption, in_blocks(undamaged(is_broken)))
        if isinstance(found, type):
            require(
                issubclass(found, TaskError) or (is_broken and issubclass(found, AudioError)),
                f"inspect raises {found.__name__}; a TaskError is expected",
            )
            continue
        require(
            found is None or isinstance(found, corruption.Parameters),
            f"inspect returns {type(found).__name__}; Parameters or None is expected",
        )
        if found is not None:
            require_stretches(corruption.stretches(found))


@law(KIND)
def damage_that_is_given_is_accepted(case: Case) -> None:
    """Damage within the recording is accepted with its values; a stretch beyond is refused."""
    corruption = build(case)
    for parameters in drawn(corruption):
        _, recording = damaged_recording(corruption, parameters)
        try:
            known = corruption.inspect(recording, parameters)
        except TaskError as error:
            require(False, f"inspect refuses {parameters!r}, which draw made: {error}")
        require(
            isinstance(known, corruption.Parameters),
            f"inspect makes {known!r} of {parameters!r}, which were given",
        )
        for name, value in parameters:
            completed = getattr(known, name)
            require(
                value is None or isinstance(value, FrozenConfig) or completed == value,
                f"inspect changes {name} = {value} that was given to {completed}",
            )
        require_stretches(corruption.stretches(known))
        require_stretches(corruption.lost(known))
    for parameters in drawn(corruption, duration_s=LONG * SECONDS):
        stretches = corruption.stretches(parameters) or ()
        if any(end > 1.01 * SECONDS for _, end in stretches):
            refused = inspected(corruption, in_blocks(undamaged()), parameters)
            require(
                isinstance(refused, type) and issubclass(refused, TaskError),
                f"inspect takes {stretches} in a recording of {SECONDS:.2f} s: raise a TaskError",
            )


@law(KIND)
def inspection_knows_no_blocks(case: Case) -> None:
    """The result of the inspection does not depend on the size of the blocks."""
    corruption = build(case)
    short = (in_blocks(undamaged(is_broken)) for is_broken in (False, True))
    cases = list(itertools.product(short, (None, *drawn(corruption, 2))))
    cases += [(recording, None) for _, recording in _recordings(corruption, RATE, 2)]
    for recording, given in cases:
        wave = torch.cat(list(recording.raw_blocks()), dim=-1)
        one, *others = (
            inspected(corruption, replace(recording, source=torch.split(wave, size, dim=-1)), given)
            for size in (*BLOCKS, wave.shape[-1])
        )
        for size, other in zip((*BLOCKS[1:], wave.shape[-1]), others, strict=True):
            require(
                _alike(one, other),
                f"a recording in blocks of {BLOCKS[0]} samples is inspected as {one!r}, in "
                f"blocks of {size} as {other!r}",
            )


@law(KIND)
def damage_is_found(case: Case) -> None:
    """A corruption that searches for damage finds some of what it did itself, at its place.

    One that cannot find damage raises a TaskError, as :meth:`Corruption.inspect` does by default.
    """
    corruption = build(case)
    answers = list(_searched(corruption, RATE))
    places = [
        _overlap(*(_region(corruption, one) for one in (parameters, found)))
        for parameters, found in answers
        if found is not None
    ]
    require(
        places or not answers,
        f"inspect finds nothing in {len(answers)} recordings with damage such as "
        f"{answers[:1]}: raise a TaskError if the damage cannot be found",
    )
    require(
        2 * sum(places) >= len(places),
        f"most damage is found where none was done; done and found are: {answers}",
    )


def _overlap(one: Tensor | None, other: Tensor | None) -> bool:
    return one is None or other is None or bool((one & other).any())


@law(KIND)
def inspection_knows_the_rate(case: Case) -> None:
    """Damage is found at about the same times and frequencies at any sample rate."""
    corruption = build(case)
    (first,) = drawn(corruption, 1)
    if _region(corruption, first) is None and not with_unit(first):
        return  # nothing says where the damage is
    searched = [
        {repr(parameters): found for parameters, found in _searched(corruption, rate)}
        for rate in (RATE, *OTHER_RATES)
    ]
    for rate, answers in zip(OTHER_RATES, searched[1:], strict=True):
        pairs = [(one, answers.get(drawing)) for drawing, one in searched[0].items()]
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        require(
            2 * sum(_is_near(corruption, *pair) for pair in both) >= len(both),
            f"damage is found elsewhere at {rate} Hz than at {RATE} Hz: {both}; convert numbers "
            "of samples by the sample rate of the recording",
        )


def _is_near(corruption: Corruption, one: Any, other: Any) -> bool:
    """Whether two findings share most of their regions, or else have similar numbers."""
    a, b = (_region(corruption, found) for found in (one, other))
    if a is not None and b is not None:
        return _shared(a, b) > 0.5 < _shared(~a, ~b)
    pairs = [(value, with_unit(other).get(name)) for name, value in with_unit(one).items()]
    numbers = [(a, b) for a, b in pairs if isinstance(a, float) and isinstance(b, float)]
    return all(0.6 * abs(a) <= abs(b) <= abs(a) / 0.6 for a, b in numbers)


def _searched(corruption: Corruption, rate: int) -> Iterator[tuple[Any, Any]]:
    """Yield the parameters of damage that was done to music, and those that are found."""
    for parameters, recording in _recordings(corruption, rate):
        found = inspected(corruption, recording)
        if not isinstance(found, type):
            yield parameters, found


def _recordings(
    corruption: Corruption, rate: int, count: int = SEARCHES
) -> Iterator[tuple[Any, Recording]]:
    """Yield the parameters of damage, and music that has it; not if nothing is damaged."""
    wave = _music(corruption, rate)
    for parameters in drawn(corruption, count, MUSIC_S):
        region = _region(corruption, parameters)
        size = SIZES[0]
        if region is not None:
            is_steady = torch.equal(region, region[..., :1].expand_as(region))
            size = wave.shape[-1] if is_steady else 2 * round(FRAME / 2 * rate / RATE)
        item = item_of(corruption, wave, size, rate)
        _, recording = damaged_recording(corruption, parameters, item)
        if not torch.equal(torch.cat(list(recording.raw_blocks()), dim=-1), wave):
            yield parameters, recording


def _region(corruption: Corruption, parameters: Any) -> Tensor | None:
    """Return what is to be restored of music, (B, 1, F, W); None if everything may change."""
    item = item_of(corruption, _music(corruption), FRAME)
    return whole_mask(corruption.observe(item, parameters, noise_for(item)), item)


def _music(corruption: Corruption, rate: int = RATE) -> Tensor:
    return music(MUSIC_S, rate, channels_for(corruption))


def _shared(one: Tensor, other: Tensor) -> float:
    """Return the share of two regions that belongs to both; 1 if both are empty."""
    return float((one & other).sum() / (one | other).sum()) if (one | other).any() else 1.0


def _alike(one: Any, other: Any) -> bool:
    """Whether two results are equal, numbers up to rounding."""
    if isinstance(one, FrozenConfig) and isinstance(other, FrozenConfig):
        return _alike(one.model_dump(), other.model_dump())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other)
