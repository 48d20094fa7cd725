"""Laws of corruptions in restoration: stretches, finishers, words for people, composition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from a2sb_core.audio.stretches import Stretches, sample_ranges
from a2sb_core.errors import A2SBError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.finisher import BlockPair, Finisher
from a2sb_core.interfaces.recording import Recording
from a2sb_core.testing.compare import equal, require_close
from a2sb_core.testing.corruption.samples import (
    BLOCKS,
    KIND,
    SAMPLES,
    build,
    damaged_recording,
    drawn,
    in_blocks,
    inspected,
    mask_of,
    require_stretches,
    trials,
    undamaged,
    with_edges,
)
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, normal, sound

RATES = ((8000, 44100), (44100, 44100), (96000, 44100), (48000, 16000))
"""Pairs (of the recording, of the model) of sample rates in Hz."""


@law(KIND)
def stretches_hold_what_is_missing(case: Case) -> None:
    """Missing content lies within a frame of the stretches, and lost frames miss all of it."""
    corruption = build(case)
    for item, parameters in trials(corruption):
        times, frame_s = item.grid.times_s, item.grid.frame_s
        missing = mask_of(corruption, item, parameters)
        stretches, lost = corruption.stretches(parameters), corruption.lost(parameters)
        if missing is None or stretches is None:
            continue
        require(
            not bool((missing.any(dim=2) & ~_within(times, stretches, frame_s)).any()),
            f"with {parameters!r} content is missing more than a frame away from the "
            f"stretches {stretches}: there it is not put into the result",
        )
        require(
            bool(missing.all(dim=2)[..., _within(times, lost, -frame_s / 2)].all()),
            f"with {parameters!r} not all is missing in frames inside of the stretches {lost} "
            "that are lost, whose samples are blanked",
        )


def _within(times: Tensor, stretches: Stretches, margin_s: float) -> Tensor:
    """Return which times lie in the stretches, made longer by a margin at both ends."""
    found = torch.zeros(len(times), dtype=torch.bool)
    for start, end in stretches:
        found |= (times >= start - margin_s) & (times <= end + margin_s)
    return found


@law(KIND)
def the_truth_is_kept(case: Case) -> None:
    """A finisher leaves clean audio as it is, outside of the stretches that are lost."""
    corruption = build(case)
    for known, finisher, wave, damaged in _finishers(corruption, 4):
        kept = ~_damaged_samples(with_edges(corruption.lost(known)))
        finished = _finished(finisher, [BlockPair(wave, damaged)]).restored
        what = f"clean audio, finished beside what {known!r} made of it"
        require_close(finished[:, kept], wave[:, kept], 1e-6, what)


@law(KIND)
def finishing_in_pieces(case: Case) -> None:
    """A finisher gives the same in any blocks and from any start, and keeps ``damaged``.

    Outside of the damaged stretches it changes nothing.
    """
    corruption = build(case)
    for known, finisher, wave, damaged in _finishers(corruption, 2):
        restored = wave + 0.05 * normal(*wave.shape, seed=6)
        whole = _finished(finisher, [BlockPair(restored, damaged)])
        what = f"the finisher for {known!r}"
        require(whole.restored.shape == wave.shape, f"{what} changes the number of samples")
        middle = SAMPLES // 2
        first = finisher.needed_from(middle)
        require(0 <= first <= middle, f"needed_from({middle}) of {what} is {first}")
        for start in sorted({0, first}):
            for size in BLOCKS[: None if start else -1]:
                pairs = _pairs(restored[:, start:], damaged[:, start:], size)
                part, after = _finished(finisher, pairs, start), middle if start else 0
                cut = (slice(None), slice(after - start, None))
                require(
                    torch.equal(part.restored[cut], whole.restored[:, after:]),
                    f"{what} gives other samples in blocks of {size} from sample {start} on",
                )
                require(
                    torch.equal(part.damaged, damaged[:, start:]),
                    f"{what} does not hand on the damaged samples as they were",
                )
        stretches = corruption.stretches(known)
        if stretches is not None:
            kept = ~_damaged_samples(stretches)
            require(
                torch.equal(whole.restored[:, kept], restored[:, kept]),
                f"{what} changes samples outside of the damaged stretches {stretches}",
            )


def _finishers(
    corruption: Corruption, count: int
) -> Iterator[tuple[Any, Finisher, Tensor, Tensor]]:
    """Yield inspected parameters with their finisher, if any, and clean and damaged audio."""
    for parameters in drawn(corruption, count):
        wave, recording = damaged_recording(corruption, parameters)
        known = inspected(corruption, recording, parameters)
        if isinstance(known, corruption.Parameters):
            finisher = corruption.finisher(known, RATE)
            if finisher is not None:
                yield known, finisher, wave, torch.cat(list(recording.raw_blocks()), dim=-1)


def _finished(finisher: Finisher, pairs: Sequence[BlockPair], first: int = 0) -> BlockPair:
    """Return all that a finisher yields, which holds no more than it declares; it gets copies."""
    held, most = 0, finisher.held_s * RATE + 1

    def copies() -> Iterator[BlockPair]:
        nonlocal held
        for pair in pairs:
            require(
                held <= most,
                f"the finisher holds {held / RATE:.3g} s, but its held_s is {finisher.held_s:.3g}",
            )
            held += pair.restored.shape[-1]
            yield BlockPair(pair.restored.clone(), pair.damaged.clone())

    finished = []
    for pair in finisher.finish(copies(), first):
        held -= pair.restored.shape[-1]
        finished.append(pair)
    restored, damaged = zip(*finished, strict=True)
    return BlockPair(torch.cat(restored, dim=-1), torch.cat(damaged, dim=-1))


def _pairs(restored: Tensor, damaged: Tensor, size: int) -> list[BlockPair]:
    blocks = (torch.split(wave, size, dim=-1) for wave in (restored, damaged))
    return [BlockPair(*pair) for pair in zip(*blocks, strict=True)]


def _damaged_samples(stretches: Stretches) -> Tensor:
    """Return which samples the stretches touch, (SAMPLES,)."""
    touched = torch.zeros(SAMPLES, dtype=torch.bool)
    for start, end in sample_ranges(stretches, RATE):
        touched[start:end] = True
    return touched


@law(KIND)
def the_unknown_may_stay_unknown(case: Case) -> None:
    """Inspection, description and finisher work without the parameters that are not ``used``."""
    corruption = build(case)
    if corruption.used is None:
        return
    try:
        known = corruption.inspect(in_blocks(undamaged()), corruption.observed())
        if known is not None:
            corruption.describe(known), corruption.marks(known), corruption.lost(known)
            corruption.output_rate(known, RATE, RATE), corruption.finisher(known, RATE)
    except (A2SBError, ValidationError):
        return  # a parameter is needed, and the user is asked for it
    except Exception as error:
        require(
            False,
            f"without parameters, a restoration fails with {type(error).__name__}: {error}; those "
            "that it does not use are None, and those that it needs stand in `used`",
        )


@law(KIND)
def damage_is_described(case: Case) -> None:
    """``describe`` returns one line of text; marks and output rate fit the recording."""
    corruption = build(case)
    for parameters in drawn(corruption):
        _, recording = damaged_recording(corruption, parameters)
        known = inspected(corruption, recording, parameters)
        if not isinstance(known, corruption.Parameters):
            continue
        words = corruption.describe(known)
        require(
            words.strip() == words and words and "\n" not in words,
            f"describe says {words!r}; one line of words is expected",
        )
        marks = corruption.marks(known)
        require_stretches(marks.stretches_s)
        for hz in marks.frequencies_hz:
            require(0 < hz <= RATE / 2, f"marks: {hz:g} Hz is not within the band")
        for sample_rate, model_rate in RATES:
            rate = corruption.output_rate(known, sample_rate, model_rate)
            require(
                type(rate) is int and rate >= sample_rate,
                f"output_rate for a recording of {sample_rate} Hz and a model of {model_rate} Hz "
                f"is {rate!r}: a whole number is expected, no smaller than that of the recording",
            )


@law(KIND)
def parts_act_as_alone(case: Case) -> None:
    """Each part acts as it does alone: its inspection, finisher, description and output rate."""
    corruption = build(case)
    require(
        not corruption.parts or case.of_part,
        "it has parts: give Case(of_part=...) the parameters of the damage of one part",
    )
    for number, part in enumerate(corruption.parts):
        for parameters in drawn(part, 2):
            for recording in _inspected_alike(part, parameters):
                _require_alike(case, corruption, number, parameters, recording)


def _inspected_alike(part: Corruption, parameters: Any) -> list[Recording]:
    """Return recordings that a part inspects alone and inside: damaged, slower, and broken."""
    _, damaged = damaged_recording(part, parameters)
    slow = Recording.of(sound(SAMPLES // 2), RATE // 2, RATE)
    return [damaged, slow, in_blocks(undamaged(is_broken=True))]


def _require_alike(
    case: Case, whole: Corruption, number: int, parameters: Any, recording: Recording
) -> None:
    assert case.of_part is not None
    part = whole.parts[number]
    name = f"part `{part.config.name}` with {parameters!r}"
    alone = inspected(part, recording, parameters)
    inside = inspected(whole, recording, case.of_part(whole, number, parameters))
    if not isinstance(alone, part.Parameters):
        require(inside == alone, f"{name}: inspect gives {alone!r} alone, and {inside!r} inside")
        return
    wanted = case.of_part(whole, number, alone)
    require(inside == wanted, f"{name}: inspect gives {inside!r} inside; {wanted!r} is expected")
    for method in ("describe", "marks", "stretches", "lost"):
        one, other = getattr(part, method)(alone), getattr(whole, method)(inside)
        require(one == other, f"{name}: {method} gives {one!r} alone, and {other!r} inside")
    for rates in RATES:
        one, other = part.output_rate(alone, *rates), whole.output_rate(inside, *rates)
        require(one == other, f"{name}: output_rate gives {one} alone, and {other} inside")
    damaged = torch.cat(list(recording.raw_blocks()), dim=-1)
    restored = damaged + 0.05 * normal(*damaged.shape, seed=6)
    results = [
        restored if finisher is None else _finished(finisher, [BlockPair(restored, damaged)])[0]
        for finisher in (
            part.finisher(alone, recording.sample_rate),
            whole.finisher(inside, recording.sample_rate),
        )
    ]
    require(equal(*results), f"{name}: its finisher gives other samples inside than alone")
