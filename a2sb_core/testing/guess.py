"""Laws of guesses."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_core.audio.stretches import Stretches
from a2sb_core.interfaces.guess import Guess
from a2sb_core.interfaces.item import Item
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, Call, Spectra, music

KIND = "guess"
SIZE = 512
"""Samples of a frame of the representation."""
SECONDS = 8.0
SILENCE_RMS = 1e-3
TOLERANCE = 1e-3
"""Tolerance of a guess from a piece, whose transforms round differently."""
Region = tuple[Tensor, Stretches]
"""Mask of missing content, (1, 1, F, W), and the lost stretches in seconds."""


def build(case: Case) -> Guess:
    """Build the component."""
    made: Guess = case.config.build()
    return made


def _item(wave: Tensor) -> Item:
    representation = Spectra(Spectra.Config(size=SIZE))
    return Item(wave, representation.encode(wave), representation)


def _rows(item: Item) -> Region:
    """The upper two thirds of the band are missing."""
    missing = torch.zeros(1, 1, *item.z.shape[2:], dtype=torch.bool)
    missing[:, :, item.z.shape[2] // 3 :] = True
    return missing, ()


def _gap(item: Item, start_s: float, end_s: float) -> Region:
    """The frames of a gap are missing."""
    missing = torch.zeros(1, 1, *item.z.shape[2:], dtype=torch.bool)
    missing[..., int(start_s * RATE) // SIZE : -int(-end_s * RATE // SIZE)] = True
    return missing, ((start_s, end_s),)


def _regions(item: Item) -> dict[str, Region]:
    duration_s = item.wave.shape[-1] / RATE
    return {
        "the upper rows": _rows(item),
        "a gap": _gap(item, 0.45 * duration_s, 0.45 * duration_s + min(0.2, 0.3 * duration_s)),
        "a gap at the start": _gap(item, 0.0, min(0.2, 0.3 * duration_s)),
        "everything": _gap(item, 0.0, duration_s),
    }


def _guessed(guess: Guess, item: Item, region: Region) -> Tensor:
    missing, lost = region
    found = guess.guess(item.without(missing, lost), missing, lost)
    require(
        found.shape == item.z.shape,
        f"the guess has the shape {tuple(found.shape)}, the item {tuple(item.z.shape)}",
    )
    return torch.where(missing, found, 0)


def calls(case: Case) -> list[Call]:
    """Uses of a guess."""
    guess = build(case)
    region = _regions(_item(music(1.0)))["a gap"], _regions(_item(music(1.0)))["the upper rows"]
    return [
        Call("guess", lambda wave, one=one: _guessed(guess, _item(wave), one), (music(1.0),))
        for one in region
    ]


@law(KIND)
def a_guess_is_finite(case: Case) -> None:
    """It is finite for music and silence, also where nothing is known, and for one frame."""
    guess = build(case)
    for length in (1, SIZE, int(RATE * 1.5)):
        for name, wave in (("music", music(1.5)[:, :length]), ("silence", torch.zeros(2, length))):
            item = _item(wave)
            for what, region in _regions(item).items():
                require_finite(
                    _guessed(guess, item, region),
                    f"the guess for {what} of {name} of {length} samples",
                )


@law(KIND)
def silence_stays_nearly_silent(case: Case) -> None:
    """Nothing loud is guessed beside silence."""
    guess, item = build(case), _item(torch.zeros(2, RATE))
    for what, region in _regions(item).items():
        rms = float(_guessed(guess, item, region).square().mean().sqrt())
        require(rms < SILENCE_RMS, f"the guess for {what} of silence has the level {rms:g}")


@law(KIND)
def guessing_in_pieces(case: Case) -> None:
    """A piece with ``context_s`` on both sides is guessed as it is within the whole recording."""
    guess, whole = build(case), _item(music(SECONDS))
    frames = whole.z.shape[-1]
    halo = -(-int(guess.context_s * RATE) // SIZE) + 2
    for what, region in _regions(whole).items():
        expected = _guessed(guess, whole, region)
        for first in (0, frames // 2 - 8, frames - 16):
            low, high = max(0, first - halo), min(frames, first + 16 + halo)
            piece = Item(
                whole.wave[:, low * SIZE : high * SIZE],
                whole.z[..., low:high],
                whole.representation,
                low,
                (first - low, first + 16 - low),
            )
            part = _guessed(guess, piece, (region[0][..., low:high], region[1]))
            require_close(
                part[..., first - low : first + 16 - low],
                expected[..., first : first + 16],
                TOLERANCE,
                f"frames {first} to {first + 16} of {what}, guessed from a piece with "
                f"{guess.context_s:g} s of context and from the whole",
            )
