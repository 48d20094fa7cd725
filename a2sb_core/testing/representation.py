"""Laws of representations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from a2sb_core.interfaces.representation import Representation
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, normal, region, sound

KIND = "representation"
INVERSE_DB = 60.0
CLICKS = 5
ROUNDING = 2e-3  # of encoded values: a phase of a weak bin turns easily


def build(case: Case) -> Representation:
    """Make the component."""
    made: Representation = case.config.build()
    return made


def _frames(representation: Representation, more: int = 12) -> int:
    """How many frames a test signal has: some beyond the reach of both ends."""
    return more + 3 * _reach(representation)


def _reach(representation: Representation) -> int:
    return -(-representation.context // representation.stride)


def _signal(representation: Representation) -> Tensor:
    samples = _frames(representation) * representation.stride + representation.stride // 3
    return sound(samples, 2 * representation.audio_channels)


def calls(case: Case) -> list[Call]:
    """Uses of a representation."""
    representation = build(case)
    wave, together = _signal(representation), representation.audio_channels
    length = wave.shape[-1]
    z = representation.encode(wave)
    changed = z + 0.1 * normal(*z.shape)
    channels = wave.reshape(-1, together, length)
    missing = region(1, *z.shape[2:])
    return [
        Call("encode", lambda x: representation.encode(x.flatten(0, 1)), (channels,)),
        Call(
            "decode", lambda z: representation.decode(z, length).reshape(-1, together, length), (z,)
        ),
        Call("project", representation.project, (changed,)),
        Call("refine", lambda z: representation.refine(z, missing, length), (changed,)),
    ]


@law(KIND)
def inverse(case: Case) -> None:
    """Decoding inverts encoding, with an error at least 60 dB below the audio.

    The audio has no content in the lowest tenth of the band: a lowest row may be left out.
    """
    representation = build(case)
    wave = _signal(representation)
    decoded = representation.decode(representation.encode(wave), wave.shape[-1])
    error = float((decoded - wave).square().sum() / wave.square().sum())
    snr_db = -10 * math.log10(max(error, 1e-30)) if error == error else -math.inf
    require(
        snr_db >= INVERSE_DB,
        f"decode(encode(wave)) is only {snr_db:.1f} dB close to the wave, not {INVERSE_DB:g}",
    )


@law(KIND)
def exact_length(case: Case) -> None:
    """Audio of any length from one sample up is encoded, and decoded to that length."""
    representation = build(case)
    stride, context = representation.stride, representation.context
    for length in sorted({1, 2, stride - 1, stride, stride + 1, context, 5 * stride + 3} - {0}):
        wave = sound(max(length, 8), 2 * representation.audio_channels)[:, :length]
        z = representation.encode(wave)
        wanted = (2, representation.channels, representation.rows, representation.frames(length))
        require(
            tuple(z.shape) == wanted,
            f"encode of {length} samples has shape {tuple(z.shape)}; channels, rows and "
            f"frames({length}) say {wanted}",
        )
        require_finite(z, f"encode of {length} samples")
        decoded = representation.decode(z, length)
        require(
            decoded.shape == wave.shape,
            f"decode to {length} samples has shape {tuple(decoded.shape)}",
        )


@law(KIND)
def silence_is_finite(case: Case) -> None:
    """Digital silence is encoded, projected and decoded without NaN, and stays silent."""
    representation = build(case)
    wave = torch.zeros(representation.audio_channels, 6 * representation.stride)
    z = representation.project(representation.encode(wave))
    require_finite(z, "encode of silence")
    require_close(representation.decode(z, wave.shape[-1]), wave, 1e-6, "decoded silence")


@law(KIND)
def grid_fits(case: Case) -> None:
    """The grid has an ascending frequency for each row, and times a stride apart for the frames."""
    representation = build(case)
    for length in (1, representation.stride, _signal(representation).shape[-1]):
        grid = representation.grid(length)
        wanted = (representation.rows, representation.frames(length))
        require(grid.shape == wanted, f"the grid is {grid.shape}, rows and frames are {wanted}")
        require(grid.sample_rate == representation.sample_rate, "the grid has another sample rate")
        rising = bool((grid.freqs_hz.diff() > 0).all())
        top = representation.sample_rate / 2
        require(
            rising and float(grid.freqs_hz[0]) >= 0 and float(grid.freqs_hz[-1]) <= top * 1.000001,
            "freqs_hz must ascend from 0 Hz or more to half the sample rate at most",
        )
        spacing = grid.times_s.double().diff() * representation.sample_rate
        require(
            bool(((spacing - representation.stride).abs() < 0.01).all()),
            f"times_s must be {representation.stride} samples (`stride`) apart",
        )
        require(grid.frame_s > 0, "frame_s must be above 0")


@law(KIND)
def times_are_those_of_the_content(case: Case) -> None:
    """A click changes the frames around its time, according to the times of the grid.

    The centre of the change may be 0.4 of a frame (``frame_s``) or of the stride off.
    """
    representation = build(case)
    stride, rate = representation.stride, representation.sample_rate
    length = (4 * _reach(representation) + 40) * stride
    places = length // 2 + (torch.arange(CLICKS) + 0.5) / CLICKS * stride
    places = places.long()
    quiet = 0.1 * normal(1, length).expand(CLICKS, length)
    changed = quiet.scatter_add(1, places[:, None], torch.ones(CLICKS, 1))
    one, other = (
        representation.encode(wave.repeat_interleave(representation.audio_channels, dim=0))
        for wave in (quiet, changed)
    )
    change = other - one
    weight = change.abs().double().sum(dim=(1, 2))
    grid = representation.grid(length)
    centres_s = (weight * grid.times_s).sum(dim=1) / weight.sum(dim=1)
    off_s = float((centres_s - places / rate).mean())
    allowed_s = 0.4 * max(grid.frame_s, stride / rate)
    require(
        abs(off_s) <= allowed_s,
        f"clicks change frames whose times_s are {1000 * off_s:.3g} ms from the clicks on "
        f"average; allowed are {1000 * allowed_s:.3g} ms: times_s are the middles of the frames",
    )


@law(KIND)
def projection_is_idempotent(case: Case) -> None:
    """Projecting twice equals projecting once, and encoded audio is not changed."""
    representation = build(case)
    z = representation.encode(_signal(representation))
    require_close(representation.project(z), z, 1e-4, "project(encode(wave)) and encode(wave)")
    once = representation.project(z + 0.3 * normal(*z.shape))
    require_close(representation.project(once), once, 1e-5, "projected twice and once")


@law(KIND)
def refining_keeps_the_known(case: Case) -> None:
    """Refining does not change what is not missing."""
    representation = build(case)
    wave = _signal(representation)
    z = representation.encode(wave)
    missing = region(1, *z.shape[2:])
    refined = representation.refine(z.clone(), missing, wave.shape[-1])
    require(refined.shape == z.shape, f"refine makes {tuple(refined.shape)} of {tuple(z.shape)}")
    known = ~missing.expand_as(z)
    require(torch.equal(refined[known], z[known]), "refine changes what is not missing")


@law(KIND)
def refining_looks_no_further(case: Case) -> None:
    """A refined frame depends only on the ``refine_context`` frames to each side."""
    representation = build(case)
    context = representation.refine_context
    stride = representation.stride
    length = (_frames(representation, 12) + 2 * context) * stride + stride // 3
    z = representation.encode(sound(length, 2 * representation.audio_channels))
    z = representation.project(z + 0.1 * normal(*z.shape))
    missing = region(1, *z.shape[2:])
    middle = z.shape[-1] // 2
    one = representation.refine(z.clone(), missing, length)
    for changed, kept in (
        (slice(middle, None), slice(0, middle - context)),
        (slice(0, middle), slice(middle + context, None)),
    ):
        other = z.clone()
        other[..., changed] = z[..., changed].flip(-1)
        require_close(
            representation.refine(other, missing, length)[..., kept],
            one[..., kept],
            ROUNDING,
            f"refined frames that are more than {context} frames (`refine_context`) away from a "
            "change, and those without the change",
        )


@law(KIND)
def encoding_in_pieces(case: Case) -> None:
    """A frame depends only on the ``context`` samples to each side of its place.

    Frame k has its place at sample k ``stride``.
    """
    representation = build(case)
    wave, stride, reach = _signal(representation), representation.stride, _reach(representation)
    whole = representation.encode(wave)
    for first, stop in ((reach + 2, reach + 8), (0, 5)):
        before = min(first, reach)
        end = (stop - 1) * stride + representation.context + 1
        piece = representation.encode(wave[:, (first - before) * stride : end])
        require_close(
            piece[..., before : before + stop - first],
            whole[..., first:stop],
            ROUNDING,
            f"frames {first} to {stop} encoded with {representation.context} samples (`context`) "
            "to each side, and in the whole",
        )


@law(KIND)
def decoding_in_pieces(case: Case) -> None:
    """A sample depends only on frames whose place lies within ``context`` samples of it."""
    representation = build(case)
    wave, stride, context = _signal(representation), representation.stride, representation.context
    z = representation.encode(wave)
    z = representation.project(z + 0.1 * normal(*z.shape))
    whole = representation.decode(z, wave.shape[-1])
    first, frames = 3, 2 * _reach(representation) + 8
    own = (frames - 1) * stride
    piece = representation.decode(z[..., first : first + frames], own)
    offset = first * stride
    require_close(
        piece[:, context : own - context],
        whole[:, offset + context : offset + own - context],
        1e-4,
        f"samples decoded with {context} samples (`context`) of frames to each side, "
        "and in the whole",
    )
