"""Digital silence inside a recording: the model hears music in its place, and it stays silent."""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST_DIP = 1024  # samples; a longer stretch of silence is filled
SILENT = 1e-5  # magnitude, at the level of the model, up to which a sample is silent
MIRRORED = 1 << 16  # samples before the silence that are repeated in it
FADE = 256  # samples in which they begin


class SilenceFiller:
    """Continues the audio before a stretch of silence, mirrored, through the stretch.

    Networks normalize over a whole window, so that silence in it would make the restored content
    of the music beside it quieter. The change of a silent stretch is muted.

    Args:
        channels: number of channels C.
        least: number of silent samples from which a stretch counts.
        first: first sample of the changes that :meth:`muted` receives.
    """

    def __init__(self, channels: int, least: int, first: int = 0) -> None:
        self.least, self.taken, self.given = least, 0, first  # samples
        self.history = torch.zeros(channels, 0)
        self.past = [torch.zeros(0)] * channels  # audio before the silence, to be mirrored
        self.runs = [0] * channels  # silent samples at the end of what was taken
        self.silences: list[list[tuple[int, int]]] = [[] for _ in range(channels)]

    def push(self, block: Tensor) -> Tensor:
        """Return the next samples (C, n) with their silence filled."""
        filled, size = [], self.history.shape[-1]
        joined = torch.cat([self.history.to(block), block], dim=-1)
        for channel, audio in enumerate(joined):
            silent = audio[size:].abs() <= SILENT
            if bool(silent.any()):
                audio = self._filled(channel, audio.clone(), size, silent)
            else:
                self.runs[channel] = 0
            filled.append(audio)
        self.taken += block.shape[-1]
        joined = torch.stack(filled)
        self.history = joined[:, -MIRRORED:].clone()
        return joined[:, size:]

    def _filled(self, channel: int, audio: Tensor, size: int, silent: Tensor) -> Tensor:
        """Fill the silence of ``audio`` (history and block, (n,)) from sample ``size`` on."""
        edges = torch.diff(silent.int(), prepend=torch.zeros(1, dtype=torch.int32)).nonzero()
        places = [*edges[:, 0].tolist(), *([len(silent)] if len(edges) % 2 else [])]
        for start, stop in zip(places[::2], places[1::2], strict=True):
            before = self.runs[channel] if start == 0 else 0
            if not before:
                self.past[channel] = audio[: size + start][-MIRRORED:].clone()
            low = max(start, start - before + self.least)
            if low < stop and len(self.past[channel]):
                place = torch.arange(low, stop) - (start - before) - self.least
                audio[size + low : size + stop] = self._mirrored(channel, place)
            if before + stop - start >= self.least:
                self._note(channel, self.taken + start - before, self.taken + stop)
            self.runs[channel] = before + stop - start
        if not bool(silent[-1]):
            self.runs[channel] = 0
        return audio

    def _mirrored(self, channel: int, place: Tensor) -> Tensor:
        """Return samples that go back and forth through the audio before the silence."""
        past = self.past[channel]
        turn = place % (2 * len(past))
        index = torch.where(turn < len(past), len(past) - 1 - turn, turn - len(past))
        return past[index] * (place / FADE).clamp(max=1)

    def _note(self, channel: int, start: int, stop: int) -> None:
        silences = self.silences[channel]
        if silences and silences[-1][0] == start:
            silences.pop()
        silences.append((start, stop))

    def muted(self, change: Tensor) -> Tensor:
        """Return the next samples of the change (C, n), zero in silent stretches."""
        first, end = self.given, self.given + change.shape[-1]
        self.given = end
        for channel, silences in enumerate(self.silences):
            for start, stop in silences:
                change[channel, max(0, start - first) : max(0, min(stop, end) - first)] = 0
            self.silences[channel] = [one for one in silences if one[1] >= end]
        return change
