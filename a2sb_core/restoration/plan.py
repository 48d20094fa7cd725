"""Plan of a restoration, and the frames that it works on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from a2sb_core.audio.resampling import resampled_length
from a2sb_core.audio.stretches import Stretches
from a2sb_core.interfaces import ENDLESS, Finisher, Ranges, Representation, WindowSampler
from a2sb_core.restoration.changes import DECODED_FRAMES
from a2sb_core.restoration.damage import Damage
from a2sb_core.restoration.levels import Coherence
from a2sb_core.restoration.pieces import ENCODED_FRAMES, reach_of

LOOKAHEAD_S = 30.0
"""Seconds of a stream in which damage is found."""

RESAMPLERS_S = 0.25
"""Most seconds that the resamplers of a stream hold."""


@dataclass(frozen=True)
class Plan:
    """The plan of a restoration.

    Attributes:
        damage: the damage to restore.
        sample_rate: sample rate of the recording, in Hz.
        output_rate: sample rate of the result, in Hz.
        channels: number of channels that are restored.
        gains: factors that bring the channels to the level of the training data, (C,); a channel
            with the factor 0 stays as it is.
        sampler: the sampler, with its number of steps.
        seed: seed of the noise.
        samples: length of the recording in samples; None if it is unknown.
        coherence: coherence of the channels; None: they share the noise.
    """

    damage: Damage
    sample_rate: int
    output_rate: int
    channels: int
    gains: Tensor
    sampler: WindowSampler
    seed: int = 0
    samples: int | None = None
    coherence: Coherence | None = None

    @property
    def stretches(self) -> Stretches | None:
        """Damaged stretches of time in seconds; None if damage may be anywhere."""
        return self.damage.stretches

    @property
    def finisher(self) -> Finisher | None:
        """The finisher of the result, if there is one."""
        return self.damage.finisher(self.output_rate)

    def damaged_s(self, sample: int | None = None) -> float:
        """Return the seconds of damage before a sample of the result (default: in all of it)."""
        end_s = math.inf if sample is None else sample / self.output_rate
        if self.stretches is None:
            return min(end_s, (self.samples or 0) / self.sample_rate)
        return sum(min(end, end_s) - start for start, end in self.stretches if start < end_s)

    def ranges(self, representation: Representation) -> Ranges:
        """Return the ranges of frames that the sampler works on; the last one may be endless."""
        return needed_ranges(self.sampler, self.stretches, representation)

    def frames(self, representation: Representation) -> int | None:
        """Return the number of frames of the recording; None if its length is unknown."""
        if self.samples is None:
            return None
        own = representation.sample_rate
        return representation.frames(resampled_length(self.samples, self.sample_rate, own))

    def frames_to_sample(self, representation: Representation) -> int | None:
        """Return the number of frames that the sampler works on; None if it is unknown."""
        frames = self.frames(representation)
        return None if frames is None else count_frames(self.ranges(representation), frames)

    def latency_s(self, representation: Representation) -> float:
        """Return the most seconds of input that a result waits for, see :class:`Restoration`."""
        if self.sampler.window is None:
            return math.inf
        items = self.channels // representation.audio_channels
        context = 3 * reach_of(representation) + representation.refine_context
        context += self.damage.corruption.halo(representation)
        pieces = ENCODED_FRAMES + DECODED_FRAMES
        frames = self.sampler.frames_held(items) + context + pieces
        finisher = self.finisher
        finished_s = 0.0 if finisher is None else finisher.held_s
        is_resampled = not self.sample_rate == self.output_rate == representation.sample_rate
        filters_s = RESAMPLERS_S if is_resampled else 0.0
        sampled_s = frames * representation.stride / representation.sample_rate
        return sampled_s + filters_s + finished_s


def needed_ranges(
    sampler: WindowSampler, stretches: Stretches | None, representation: Representation
) -> Ranges:
    """Return the frames that must be encoded to restore the damaged stretches."""
    if stretches is None:
        return ((0, ENDLESS),)
    grid, rate = representation.grid(1), representation.sample_rate
    reach_s = grid.frame_s + representation.stride / rate
    missing = tuple(
        (
            max(0, math.floor((start - reach_s) * rate / representation.stride)),
            math.ceil((end + reach_s) * rate / representation.stride) + 1,
        )
        for start, end in stretches
    )
    return sampler.needed(missing)


def count_frames(ranges: Ranges, frames: int) -> int:
    """Return how many of the first ``frames`` frames lie in the ranges."""
    return sum(b - a for a, b in overlaps(ranges, 0, frames))


def overlaps(ranges: Ranges, first: int, stop: int) -> Ranges:
    """Return the parts of the ranges between frames ``first`` and ``stop``."""
    cut = ((max(a, first), min(b, stop)) for a, b in ranges)
    return tuple((a, b) for a, b in cut if a < b)
