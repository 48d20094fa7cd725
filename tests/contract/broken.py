"""Components that break one law each, made from sane ones by changing a method or two."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from broken_corruptions import CORRUPTIONS
from mutation import both, fail, mutant, own, with_extra
from pydantic import ConfigDict
from sane import (
    TENTH,
    Absolute,
    Affine,
    Clean,
    Jump,
    Level,
    Louder,
    MeanSquare,
    Mute,
    Reader,
    Whole,
    write_checkpoint,
)

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import Converted, Damaged, Degraded, Gaussian, per_item
from a2sb_core.testing.parts import Spectra, Steady


def forget_mean(old, x0, xt, t, s):
    r = per_item(s / t, xt) ** 1.01
    return Gaussian((1 - r) * x0 + r * xt, old(x0, xt, t, s).variance)


def stream(push, finish):
    """Return a stream that does nothing about omitted frames."""
    return SimpleNamespace(push=push, skip=lambda frame: [], finish=finish)


def forget_region(old, *a):
    inner = old(*a)
    return stream(
        push=lambda piece: inner.push(type(piece)(piece.start, piece.x, None)), finish=inner.finish
    )


def place_first(old, *a):
    inner, starts = old(*a), []

    def finish(frames):
        (one,) = inner.finish(frames)
        return [type(one)(starts[0], one.x, one.missing)]

    return stream(
        push=lambda piece: both(starts.append(piece.start), inner.push(piece)), finish=finish
    )


def echo(old, *a):
    """Each frame echoes the one before: a stream must have seen all of them."""
    last = [0.0]

    def push(piece):
        for frame in piece.x.unbind(dim=-1):
            last[0] = frame + 0.9 * last[0]
        return [type(piece)(piece.start, piece.x + last[0][..., None], piece.missing)]

    return stream(push=push, finish=lambda frames: [])


def leave_scraps(old, sources):
    for source in sources:
        with tempfile.NamedTemporaryFile(dir=Path(source).parent, delete=False) as file:
            file.write(b"scrap")
    return old(sources)


COUNT = []
WRONG_DIRECTION = {"higher_is_better": True}

MUTANTS = {
    Louder: {
        "config_round_trips": {
            "__init__": lambda old, config: both(
                old(type(config)()), setattr(own(old), "config", None)
            )
        },
        "config_refuses_unknown_fields": {"settings": ConfigDict(extra="ignore")},
        "same_seed_same_result": {
            "restore_audio": lambda old, *a: both(COUNT.append(1), old(*a) + len(COUNT))
        },
        "inputs_are_not_changed": {
            "restore_audio": lambda old, wave, *a: both(old(wave, *a), wave.mul_(1.5))
        },
        "does_a_task (refuses)": {"restore_audio": lambda old, *_: fail(TaskError("not today"))},
        "length_and_channels_are_kept": {
            "restore_audio": lambda old, *a: old(*a).mean(0, keepdim=True)
        },
        "silence_stays_finite": {
            "restore_audio": lambda old, *a: (loud := old(*a)) / loud.abs().max()
        },
        "unknown_tasks_are_refused": {
            "restore_audio": lambda old, wave, _, task, *a: (
                {"bandwidth": 1.5, "inpaint": 1}[task] * wave
            )
        },
    },
    Steady: {
        "ends_are_fixed (start)": {
            "coefficients": lambda old, t: (
                (math.pi / 2 * t).cos(),
                0 * t,
                (math.pi / 2 * t).sin(),
            ),
            "start": lambda old, x1, *a: 0 * x1,
        },
        "float32_stays_float32": {
            "marginal": lambda old, x0, x1, t: old(x0.double(), x1.double(), t)
        },
        "ends_are_fixed": {"coefficients": lambda old, t: (1 - t, t, (t * (1 - t) + 1e-3).sqrt())},
        "finite_near_the_ends": {
            "coefficients": lambda old, t: (
                1 - t,
                t,
                (t * (1 - t)) / (t * (1 - t)).sqrt().where(t < 1 - 1e-5, 0),
            )
        },
        "steps_compose (mean)": {"posterior": forget_mean},
        "steps_compose (variance)": {
            "posterior": lambda old, *a: Gaussian((g := old(*a)).mean, 1.02 * g.variance)
        },
        "steps_of_no_length_and_to_the_end": {
            "posterior": lambda old, *a: Gaussian((g := old(*a)).mean, g.variance + 1e-4)
        },
        "times_are_per_item": {"marginal": lambda old, x0, x1, t: old(x0, x1, t.flatten()[0])},
        "defaults_agree": {"sigma": lambda old, t: 2 * old(t)},
        "sigma_grows": {"sigma": lambda old, t: (t * (1 - t)).sqrt()},
    },
    Spectra: {
        "refining_looks_no_further": {
            "refine": lambda old, z, missing, _: z + missing * z.roll(5, dims=-1)
        },
        "refining_looks_no_further (ahead)": {
            "refine": lambda old, z, missing, _: z + missing * z.roll(-5, dims=-1)
        },
        "times_are_those_of_the_content": {
            "grid": lambda old, length: replace(g := old(length), times_s=g.times_s - g.frame_s / 2)
        },
        "batch_equals_singles": {"encode": lambda old, wave: old(wave / wave.abs().amax())},
        "inverse": {"decode": lambda old, z, length: 1.01 * old(z, length)},
        "exact_length": {"decode": lambda old, z, length: old(z, z.shape[-1] * own(old).stride)},
        "silence_is_finite": {
            "encode": lambda old, wave: (z := old(wave)) * (z.abs().amax() / z.abs().amax())
        },
        "grid_fits": {
            "grid": lambda old, length: type(g := old(length))(
                g.sample_rate, g.freqs_hz, g.times_s * 2, g.frame_s
            )
        },
        "projection_is_idempotent": {"project": lambda old, z: 0.9 * z},
        "refining_keeps_the_known": {
            "refine": lambda old, z, missing, length: 0.5 * (z + z.roll(1, dims=-1))
        },
        "encoding_in_pieces (looks far)": {
            "encode": lambda old, w: (z := old(w)) + 0.1 * z.roll(4, dims=-1)
        },
        "encoding_in_pieces (context)": {
            "__init__": lambda old, config: both(old(config), setattr(own(old), "context", 0))
        },
        "decoding_in_pieces": {
            "decode": lambda old, z, length: old(z + 0.1 * z.roll(4, dims=-1), length)
        },
    },
    Clean: {
        "errors_are_not_negative": {"errors": lambda old, *a: old(*a).mean(dim=-1)},
        "zero_loss_denoises": {"denoise": lambda old, *a: 1.02 * old(*a)},
        "gradients_vanish_at_the_truth": {
            "errors": lambda old, network, _, x0, s: (network(s.xt, s.t, None) - x0 - 0.05).abs()
        },
        "finite_at_the_ends": {
            "errors": lambda old, network, bridge, x0, s: (
                old(network, bridge, x0, s) / per_item(s.t, s.xt)
            )
        },
        "condition_has_its_channels": {
            "denoise": lambda old, network, _, s: network(s.xt, s.t, s.x1)
        },
        "truth_is_hidden": {
            "condition_channels": 3,
            "denoise": lambda old, network, _, s: network(s.xt, s.t, s.x1),
            "errors": lambda old, network, _, x0, s: (network(s.xt, s.t, x0) - x0) ** 2,
        },
    },
    Level: {
        "a_guess_is_finite": {"guess": lambda old, item, *a: old(item, *a) / item.wave.abs().max()},
        "silence_stays_nearly_silent": {"guess": lambda old, *a: old(*a) + 1},
        "guessing_in_pieces": {"guess": lambda old, item, *a: old(item, *a) + item.start},
    },
    Absolute: {
        "a_loss_is_finite_for_each_item": {"forward": lambda old, trial: old(trial).mean()},
        "a_better_estimate_costs_less": {"forward": lambda old, trial: -old(trial)},
        "the_gradient_reaches_the_estimate": {
            "forward": lambda old, trial: (
                old(trial).detach() + 0 * trial.estimate.sum(dim=(1, 2, 3))
            )
        },
        "items_do_not_see_one_another": {"forward": lambda old, trial: old(trial) * len(trial.x0)},
        "learning_lowers_its_own_loss": {"learn": lambda old, trial: torch.ones(())},
    },
    Jump: {
        "guidance_comes_closer": {"guides": True},
        "guidance_comes_closer (unasked)": {
            "guide": lambda old, denoiser, measurement: lambda state: 0.5 * denoiser(state)
        },
        "noise_is_announced": {"draws": lambda old, step: False},
        "perfect_denoiser_gives_x0": {"times": lambda old: old().clamp(min=0.05)},
        "observed_content_is_kept": {
            "sample": lambda old, denoiser, bridge, degraded, *a, **k: old(
                denoiser, bridge, Degraded(degraded.x1, None), *a, **k
            )
        },
        "times_descend": {
            "sample": lambda old, denoiser, *a, **k: old(
                lambda s: denoiser(replace(s, t=s.t[0])), *a, **k
            )
        },
        "steps_are_reported": {"sample": lambda old, *a, **_: old(*a)},
        "step_is_elementwise_in_frames": {
            "step": lambda old, bridge, x0, *a: old(
                bridge, x0 - 0.01 * x0.mean(-1, keepdim=True), *a
            )
        },
    },
    Whole: {
        "stream_equals_whole": {"stream": forget_region},
        "stream_needs_what_it_says": {"needed": lambda old, _: ((20, 40),), "stream": place_first},
        "warm_up_suffices": {
            "needed": lambda old, _: ((0, 4),),
            "warm_up": lambda old, frame, items, multiple: frame // multiple * multiple,
            "stream": echo,
        },
    },
    Affine: {
        "time_matters (tenths)": {
            "forward": lambda old, x, t, *a: old(x, (10 * t).round() / 10, *a)
        },
        "condition_matters": {
            "forward": lambda old, x, t, condition=None: old(
                x, t, condition if condition is None else torch.zeros_like(condition)
            )
        },
        "shape_is_kept": {"forward": lambda old, *a: torch.nn.functional.pad(old(*a), (0, 1))},
        "time_is_per_item": {"forward": lambda old, x, t, *a: old(x, t.mean().expand(len(t)), *a)},
        "time_matters": {"forward": lambda old, x, t, *a: old(x, torch.zeros_like(t), *a)},
        "items_are_independent": {
            "forward": lambda old, *a: (
                (y - y.mean()) / y.std() if (y := old(*a)) is not None and own(old).training else y
            )
        },
        "gradients_reach_all_parameters": {
            "__init__": with_extra(unused=lambda: torch.nn.Parameter(torch.ones(3)))
        },
        "weights_save_and_load": {
            "__init__": with_extra(aside=lambda: torch.randn(())),
            "forward": lambda old, *a: old(*a) + own(old).aside,
        },
    },
    MeanSquare: {
        "more_noise_is_worse (rate)": {
            "measure": lambda old, *a: old(*a) if a[-1] == 44100 else -old(*a)
        },
        "answers_with_a_number": {
            "measure": lambda old, truth, estimate, _: ((truth - estimate) ** 2).mean()
        },
        "equal_recordings_are_best": {"measure": lambda old, *a: old(*a) or 1.0},
        "more_noise_is_worse": WRONG_DIRECTION,
        "channels_count_alike": {
            "measure": lambda old, truth, estimate, rate: old(truth[:1], estimate[:1], rate)
        },
        "known_values_are_met (twice)": {
            "measure": lambda old, *a: 2 * old(*a),
            "more": {"known_values": ((TENTH, 0.01),)},
        },
        "known_values_are_met (none)": {},
    },
    Mute: {
        "earlier_use_changes_nothing": {
            "damage": lambda old, wave, *_: both(
                (seen := vars(own(old)).setdefault("seen", [])).append(wave),
                Damaged(wave / len(seen), {}),
            )
        },
        "shape_is_kept": {"damage": lambda old, wave, *_: Damaged(wave[:, 1:], {})},
        "clips_are_damaged": {"damage": lambda old, wave, *_: Damaged(wave, {})},
        "parameters_describe_the_damage": {"task": "bandwidth"},
        "arguments_are_checked": {"parse": classmethod(lambda cls, text: cls.Config().build())},
        "identity_is_json": {"identity": {"gaps_s": (1, 2)}},
    },
    Reader: {
        "every_weight_is_read": {
            "convert": lambda old, sources: both(
                (converted := old(sources)).backbone.mix.bias.data.zero_(), converted
            ),
            "more": {"checkpoint": write_checkpoint},
        },
        "licence_is_stated": {"notice": ""},
        "foreign_files_are_refused": {
            "convert": lambda old, _: Converted(Affine.Config().build(channels=1), {})
        },
        "sources_are_left_alone": {"convert": leave_scraps},
    },
    **CORRUPTIONS,
}
"""Changes that break a law, by the sane component and the law; in brackets what is broken."""

BROKEN = [
    (law.partition(" ")[0], mutant(base, **changes), changes.get("more", {}))
    for base, mutants in MUTANTS.items()
    for law, changes in mutants.items()
]
"""Triples (law, broken class, what its Case says besides)."""
