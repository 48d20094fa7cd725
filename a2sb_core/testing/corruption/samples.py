"""Items, recordings and draws that the laws of corruptions are checked on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from a2sb_core.audio.stretches import Stretches, blank
from a2sb_core.errors import A2SBError
from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.item import Degraded, Item
from a2sb_core.interfaces.recording import Recording
from a2sb_core.interfaces.types import Noise
from a2sb_core.testing.laws import Case, require
from a2sb_core.testing.parts import RATE, Call, Spectra, seeded, sound

KIND = "corruption"
SAMPLES = 128 * 96
SECONDS = SAMPLES / RATE
BLOCKS = (1000, 997, SAMPLES)
"""Samples of blocks in which a recording is read."""
UNITS = ("_hz", "_khz", "_s", "_ms")
"""Ends of the names of parameters whose effect on the samples depends on the sample rate."""
SIZES = (64, 128)  # of the representations: a corruption knows Hz and seconds only


def build(case: Case) -> Corruption:
    """Build the component."""
    made: Corruption = case.config.build()
    return made


def item_of(corruption: Corruption, wave: Tensor, size: int = SIZES[0], rate: int = RATE) -> Item:
    """Return audio in a representation whose frames have ``size`` samples.

    Its channels are one item if the corruption needs several together.
    """
    config = Spectra.Config(size=size, sample_rate=rate, audio_channels=corruption.audio_channels)
    representation = config.build()
    return Item(wave, representation.encode(wave), representation)


def items_of_sizes(corruption: Corruption, sizes: tuple[int, ...] = SIZES) -> list[Item]:
    """Return the same audio in representations whose frames have so many samples."""
    wave = sound(SAMPLES, channels_for(corruption))
    return [item_of(corruption, wave, size) for size in sizes]


def channels_for(corruption: Corruption) -> int:
    """Return the number of audio channels that a corruption is tried on, at least 2."""
    return max(2, corruption.audio_channels)


def noise_for(item: Item) -> Noise:
    """Return the noise of an item."""
    return Noise(1, item.z.shape[1], item.z.shape[2])


def drawn(corruption: Corruption, count: int = 8, duration_s: float = SECONDS) -> list[Any]:
    """Draw parameters from one generator."""
    generator = seeded(3)
    return [corruption.draw(duration_s, generator) for _ in range(count)]


def trials(corruption: Corruption) -> Iterator[tuple[Item, Any]]:
    """Yield items of all sizes, each with several parameters."""
    return itertools.product(items_of_sizes(corruption), drawn(corruption))


def damaged_recording(
    corruption: Corruption, parameters: Any, item: Item | None = None
) -> tuple[Tensor, Recording]:
    """Return clean audio (C, T), and the recording that real damage makes of it.

    Missing content is absent. Stretches that are lost are silent, and so are the frames at their
    edges.
    """
    item = item or items_of_sizes(corruption, SIZES[:1])[0]
    degraded = corruption.degrade(item, parameters, noise_for(item))
    left = degraded.x1
    if degraded.missing is not None:
        left = left.masked_fill(degraded.missing, 0)
    wave = item.representation.decode(left, item.wave.shape[-1])
    stretches = with_edges(corruption.lost(parameters), item.grid.frame_s)
    rate = item.representation.sample_rate
    return item.wave, Recording.of(blank(wave, stretches, rate), rate)


def with_edges(stretches: Stretches, frame_s: float = SIZES[0] / RATE) -> Stretches:
    """Return stretches that are longer by a frame at both ends."""
    return tuple((max(0.0, start - frame_s), end + frame_s) for start, end in stretches)


def mask_of(corruption: Corruption, item: Item, parameters: Any) -> Tensor | None:
    """Return what training marks as missing, (B, 1, F, W); None if everything may change."""
    return whole_mask(corruption.degrade(item, parameters, noise_for(item)), item)


def whole_mask(degraded: Degraded, item: Item) -> Tensor | None:
    """Return what is missing of an item, (B, 1, F, W)."""
    missing = degraded.missing
    return None if missing is None else missing.expand(len(item.z), 1, *item.z.shape[2:])


def calls(case: Case) -> list[Call]:
    """Uses of a corruption."""
    corruption = build(case)
    item, parameters = items_of_sizes(corruption)[0], drawn(corruption, 1)[0]
    representation: Any = item.representation

    def use(method: str) -> Callable[[Tensor], Degraded]:
        def run(channels: Tensor) -> Degraded:
            wave = channels.flatten(0, 1)
            fresh = Item(wave, representation.encode(wave), representation)
            done: Degraded = getattr(corruption, method)(fresh, parameters, noise_for(item))
            return done

        return run

    channels = item.wave.reshape(-1, corruption.audio_channels, SAMPLES)
    return [
        Call("draw", lambda: corruption.draw(SECONDS, seeded(5)), is_batched=False),
        Call("degrade", use("degrade"), (channels,)),
        Call("observe", use("observe"), (channels,)),
    ]


def inspected(corruption: Corruption, recording: Recording, given: Any = None) -> Any:
    """Return what ``inspect`` returns, or the class of the error that it raises."""
    try:
        return corruption.inspect(recording, given)
    except A2SBError as error:
        return type(error)


def in_blocks(wave: Tensor, size: int = SAMPLES) -> Recording:
    """Return a recording in blocks of ``size`` samples."""
    return Recording(torch.split(wave, size, dim=-1), RATE, len(wave), RATE, SECONDS)


def undamaged(is_broken: bool = False) -> Tensor:
    """Return audio (C, T) of ``SAMPLES`` samples; a broken one holds NaN."""
    wave = sound(SAMPLES)
    if is_broken:
        wave[:, 3000:4000] = torch.nan
    return wave


def require_stretches(stretches: Stretches | None) -> None:
    """Require stretches to lie within a recording of ``SECONDS``."""
    for start, end in stretches or ():
        require(
            0 <= start < end <= SECONDS + 1 / RATE,
            f"stretch {start}:{end} does not lie in a recording of {SECONDS:.4f} s",
        )


def with_unit(parameters: Any) -> dict[str, Any]:
    """Return the parameters in Hz or seconds that have a value, by name."""
    return {name: value for name, value in parameters if name.endswith(UNITS) and value is not None}
