"""Corruptions that break one law each, made from sane ones by changing a method or two."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from mutation import both, fail, mutant, own
from sane import Finished, Gap, Hiss, Muffle, Octave

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import BlockPair, Degraded, Finisher, FrozenConfig, Marks, Recording


def forget_place(old, item, parameters, noise):
    mask = own(old).missing(item.grid, parameters)[None, None]
    return Degraded(torch.where(mask, noise.at(0, 0, item.z.shape[-1]), item.z), mask)


class Ending(FrozenConfig):
    level: float = 1.0
    end_s: float


class Labelled(FrozenConfig):
    start_s: float
    end_s: float
    level: Any


def gap_at(old, start_s):
    return own(old).Parameters(start_s=start_s, end_s=start_s + 0.02)


def in_one_block(old, recording, given=None):
    """A gap that is not within a block is not found."""
    blocks = [Recording.of(block, recording.sample_rate) for block in recording.raw_blocks()]
    found = [old(block) for block in blocks]
    return given or next((one for one in found if one is not None), None)


def at_one_rate(old, recording, *a):
    return old(replace(recording, sample_rate=44100), *a)


def cached(old, grid, parameters):
    """A mask for each shape."""
    masks = vars(own(old)).setdefault("masks", {})
    return masks.setdefault((grid.shape, parameters.start_s), old(grid, parameters))


class Holds(Finisher):
    """Returns nothing before the end."""

    def finish(self, blocks, first=0):
        yield from list(blocks)


def trust_the_damage(old, pair):
    return BlockPair(pair.damaged, pair.damaged)


AS_GIVEN = {"of_part": lambda whole, number, parameters: parameters}

CORRUPTIONS = {
    Octave: {
        "global_randomness_is_untouched (draws)": {
            "draw": lambda old, *_: own(old).Parameters(low_hz=2000 + 1000 * float(torch.rand(())))
        },
        "global_randomness_is_untouched (seeds)": {
            "draw": lambda old, *a: both(torch.manual_seed(0), old(*a))
        },
        "items_are_not_changed": {
            "degrade": lambda old, item, *a: both(item.z.mul_(0.5), old(item, *a))
        },
        "missing_is_boolean": {
            "degrade": lambda old, *a: Degraded((d := old(*a)).x1, d.missing.to(torch.uint8))
        },
        "damage_is_done (nothing)": {"missing": lambda old, *a: torch.zeros_like(old(*a))},
        "damage_is_done (all)": {"missing": lambda old, *a: torch.ones_like(old(*a))},
        "masks_know_no_rows (rows)": {
            "missing": lambda old, grid, _: (torch.arange(grid.shape[0]) >= 5)[:, None].expand(
                grid.shape
            )
        },
        "masks_know_no_rows (frames)": {
            "missing": lambda old, grid, _: (torch.arange(grid.shape[1]) < 20).expand(grid.shape)
        },
        "untouched_outside_missing": {
            "degrade": lambda old, *a: Degraded((d := old(*a)).x1 + 1e-6, d.missing)
        },
        "observe_looks_at_the_known_only": {
            "observe": lambda old, item, *a: Degraded(
                torch.where((d := old(item, *a)).missing, 0.9 * d.x1 + 0.1 * item.z, item.z),
                d.missing,
            )
        },
        "observing_in_pieces": {"observe": forget_place},
        "stretches_hold_what_is_missing (outside)": {"stretches": lambda old, _: ((0.1, 0.2),)},
        "stretches_hold_what_is_missing (inside)": {
            "stretches": lambda old, _: ((0.1, 0.2),),
            "missing": lambda old, grid, _: (grid.times_s < 0.1).expand(grid.shape),
        },
        "damage_that_is_given_is_accepted (refuses)": {
            "inspect": lambda old, *_: fail(TaskError("no such octave"))
        },
        "damage_that_is_given_is_accepted (knows better)": {
            "inspect": lambda old, *_: own(old).Parameters(low_hz=2000)
        },
        "inspection_knows_no_blocks": {
            "inspect": lambda old, recording, *_: own(old).Parameters(
                low_hz=next(recording.raw_blocks()).shape[-1]
            )
        },
        "damage_is_described (lines)": {"describe": lambda old, _: "an octave\nis missing"},
        "damage_is_described (marks)": {"marks": lambda old, _: Marks(frequencies_hz=(30000.0,))},
        "damage_is_described (rate)": {"output_rate": lambda old, _, rate, model_rate: model_rate},
        "parts_act_as_alone (description)": {
            "parts": (Octave.Config().build(),),
            "describe": lambda old, _: "something is missing",
            "more": AS_GIVEN,
        },
        "parts_act_as_alone (untold)": {"parts": (Octave.Config().build(),)},
        "parameters_lie_in_their_ranges": {
            "draw": lambda old, *a: own(old).Parameters(low_hz=old(*a).low_hz + 100),
            "more": {"ranges": {"low_hz": (2000, 3000)}},
        },
        "draws_vary": {"draw": lambda old, *_: own(old).Parameters(low_hz=2500)},
        "tasks_are_served": {"for_task": lambda old, task: own(old)},
        "inspection_answers": {"inspect": lambda old, recording, given=None: given or 4000.0},
    },
    Gap: {
        "inspection_knows_no_blocks (first)": {
            "inspect": lambda old, recording, given=None: (
                given or gap_at(old, next(recording.raw_blocks()).shape[-1] / recording.sample_rate)
            )
        },
        "inspection_knows_no_blocks (each)": {"inspect": in_one_block},
        "inspection_knows_the_rate": {"inspect": at_one_rate},
        "damage_is_found (never)": {"inspect": lambda old, _, given=None: given},
        "damage_is_found (elsewhere)": {
            "inspect": lambda old, recording, given=None: given or gap_at(old, 0.1)
        },
        "damage_that_is_given_is_accepted (moves it)": {
            "inspect": lambda old, recording, given=None: gap_at(old, given.start_s / 2)
        },
        "stretches_hold_what_is_missing (late)": {
            "stretches": lambda old, parameters: ((parameters.start_s + 0.1, 0.25),)
        },
        "stretches_hold_what_is_missing (half)": {
            "missing": lambda old, grid, parameters: (
                old(grid, parameters) & (grid.freqs_hz > 9000)[:, None]
            )
        },
        "observing_in_pieces (cached)": {"missing": cached},
        "damage_is_done (beyond)": {
            "stretches": lambda old, _: None,
            "draw": lambda old, duration_s, generator: gap_at(
                old, duration_s * (0.9 + 10 * float(torch.rand((), generator=generator)))
            ),
        },
        "parameters_are_json": {
            "Parameters": Labelled,
            "draw": lambda old, *_: Labelled(start_s=0.1, end_s=0.2, level=np.float64(1)),
        },
    },
    Hiss: {
        "the_unknown_may_stay_unknown": {"describe": lambda old, p: f"hiss of {p.level:.1f}"},
        "silence_stays_finite": {
            "apply": lambda old, wave, *a: old(wave, *a) * (peak := wave.abs().amax()) / peak
        },
        "global_randomness_is_untouched (numpy)": {
            "apply": lambda old, wave, *a: wave + float(np.random.rand())
        },
        "global_randomness_is_untouched (random)": {
            "apply": lambda old, wave, *a: wave + random.random()
        },
        "damage_that_is_given_is_accepted (refuses)": {
            "Parameters": Ending,
            "draw": lambda old, duration_s, _: Ending(end_s=0.9 * duration_s),
            "stretches": lambda old, parameters: ((0, parameters.end_s),),
            "inspect": lambda old, recording, given=None: given,
        },
    },
    Muffle: {
        "inspection_knows_the_rate": {"inspect": at_one_rate},
        "damage_follows_the_rate": {
            "apply": lambda old, wave, parameters, noise, _: old(wave, parameters, noise, 44100)
        },
        "forward_has_an_adjoint": {"forward": lambda old, wave, *a: old(wave.detach(), *a)},
        "forward_has_an_adjoint (of other values)": {
            "forward": lambda old, wave, *a: wave + (old(wave, *a) - wave).detach()
        },
        "forward_is_the_damage": {"apply": lambda old, wave, *a: 0.5 * old(wave, *a)},
        "forward_is_the_damage (shape)": {"forward": lambda old, wave, *a: old(wave, *a)[:, 1:]},
    },
    Finished: {
        "the_truth_is_kept": {"edit": trust_the_damage},
        "finishing_in_pieces (blocks)": {
            "edit": lambda old, pair: BlockPair(
                pair.restored / pair.restored.abs().amax(), pair.damaged
            )
        },
        "finishing_in_pieces (held)": {"finisher": lambda old, *_: Holds()},
        "finishing_in_pieces (damage)": {
            "edit": lambda old, pair: BlockPair(pair.restored, pair.restored)
        },
        "finishing_in_pieces (known)": {
            "stretches": lambda old, _: ((0.1, 0.2),),
            "edit": lambda old, pair: BlockPair(0.5 * pair.restored, pair.damaged),
        },
        "parts_act_as_alone (description)": {
            "parts": (mutant(Finished, edit=trust_the_damage).Config().build(),),
            "finisher": lambda old, *_: None,
            "more": AS_GIVEN,
        },
    },
}
