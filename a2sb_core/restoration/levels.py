"""Levels of the channels of a recording and their coherence, measured while it is inspected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from a2sb_core.audio.stretches import Stretches, sample_ranges
from a2sb_core.interfaces import Recording
from a2sb_core.restoration.splicing import change_weight, fade_samples

FRAME = 2048  # samples that are measured together
GATE = 1e-7  # mean square (-70 dBFS) below which a frame is silence, as in ITU-R BS.1770
SILENT_RMS = 1e-6
LOWEST_HZ, BANDS_PER_OCTAVE = 100.0, 3  # bands in which coherence is measured
SMALLEST_DENSITY = 1e-8  # relative to the largest: bands without content have no coherence
STEPS = 64  # to which coherence is rounded, so that rounding of sums does not matter


@dataclass(frozen=True)
class Coherence:
    """Coherence of the channels with the first one, by band.

    Attributes:
        highest_hz: upper end of each band in Hz, (N,).
        values: correlation of each channel with the first one, times its sign, in [0, 1], (C, N).
        signs: -1 for a channel whose polarity is opposite to that of the first one, else 1, (C,).
    """

    highest_hz: Tensor
    values: Tensor
    signs: Tensor

    def at(self, freqs_hz: Tensor) -> Tensor:
        """Return the coherence at frequencies (F,) in Hz, (C, F)."""
        band = torch.searchsorted(self.highest_hz, freqs_hz.to(self.highest_hz))
        return self.values[:, band.clamp(max=len(self.highest_hz) - 1)]


class MeasuredBlocks:
    """The blocks (C, n) of a recording, which are measured during the first pass.

    The scan that finds the damage of a recording thus measures its levels as well.
    """

    def __init__(self, blocks: Iterable[Tensor]) -> None:
        self.blocks = blocks
        self.measures: Measures | None = None

    def __iter__(self) -> Iterator[Tensor]:
        measures = Measures()
        for block in self.blocks:
            yield block
            measures.add(block)
        measures.finish()
        self.measures = measures

    def scanned(self) -> Measures:
        """Return the measures; the blocks are read unless they have been."""
        if self.measures is None:
            for _ in self:
                pass
        assert self.measures is not None
        return self.measures

    def gains(
        self,
        recording: Recording,
        lost: Stretches,
        loudness_dbfs: float | None,
        level_dbfs: float | None = None,
        *,
        together: bool = False,
    ) -> Tensor:
        """Return the factors that bring the channels to a root-mean-square level, (C,).

        Silent frames and a constant offset do not count. The factor of a silent channel is 0.

        Args:
            recording: with these blocks as its source.
            lost: stretches in seconds whose samples are lost; frames that they touch are left out.
            loudness_dbfs: the level in dB relative to full scale; None: levels are left alone.
            level_dbfs: level of the undamaged audio, if it is known and need not be measured.
            together: whether all channels get the same factor.

        Raises:
            AudioError: a sample outside of the stretches is NaN or infinite.
        """
        if loudness_dbfs is not None and level_dbfs is not None:
            gain = 10 ** ((loudness_dbfs - level_dbfs) / 20)
            return torch.full((recording.channels,), gain, dtype=torch.float64)
        measures = self.scanned()
        kept = measures.outside(lost, recording.sample_rate)
        if not kept.any() or not torch.isfinite(measures.energies[:, kept]).all():
            # Nothing but what is lost lies in whole frames, or a sample is not finite.
            measures = MeasuredBlocks(_outside(recording.without(lost), lost)).scanned()
            kept = torch.ones(measures.energies.shape[1], dtype=torch.bool)
        rms = measures.rms(kept, together)
        gains = torch.ones_like(rms) if loudness_dbfs is None else 10 ** (loudness_dbfs / 20) / rms
        return torch.where(rms > SILENT_RMS, gains, 0.0)


class Measures:
    """Energies of the frames of a recording, and the spectra of its channels.

    Attributes:
        energies: sums of squares of the frames of each channel, (C, N).
        sums: sums of the samples of each frame, (C, N).
        counts: number of samples of each frame, (N,).
        powers: power spectra of the channels, (C, bins).
        products: real parts of the cross spectra with the first channel, (C, bins).
    """

    def __init__(self) -> None:
        self.energies = self.sums = self.powers = self.products = torch.zeros(1, 0)
        self.counts = torch.zeros(0)
        self._levels = torch.zeros(2, 1, 0)  # energies and sums; with room for further frames
        self._frames = 0
        self._rest = torch.zeros(1, 0)
        self._window = torch.hann_window(FRAME)

    def add(self, block: Tensor) -> None:
        """Measure the next samples (C, n)."""
        audio = torch.cat([self._rest, block], dim=-1) if self._rest.numel() else block
        whole = audio.shape[-1] // FRAME * FRAME
        if whole:
            frames = audio[:, :whole].reshape(len(audio), -1, FRAME)
            self._level(frames)
            self._compare(frames)
        self._rest = audio[:, whole:].clone()

    def finish(self) -> None:
        """Measure the last frame, of which a part is missing."""
        last = self._rest.shape[-1]
        if last:
            self._level(torch.nn.functional.pad(self._rest, (0, FRAME - last))[:, None])
        if self._frames:
            self.energies, self.sums = self._levels[..., : self._frames]
            self.counts = torch.full((self._frames,), float(FRAME))
            self.counts[-1] = last or FRAME

    def _level(self, frames: Tensor) -> None:
        energies = frames.square().sum(dim=-1, dtype=torch.float64)
        levels = torch.stack([energies, frames.sum(dim=-1, dtype=torch.float64)])
        end = self._frames + levels.shape[-1]
        if end > self._levels.shape[-1]:
            # One tensor that doubles: a small one for each block would fragment the memory.
            grown = torch.zeros(*levels.shape[:2], 2 * end)
            grown[..., : self._frames] = self._levels[..., : self._frames]
            self._levels = grown
        self._levels[..., self._frames : end] = levels
        self._frames = end

    def _compare(self, frames: Tensor) -> None:
        if len(frames) == 1:
            return
        spectra = torch.fft.rfft(frames.nan_to_num(0, 0, 0).float() * self._window)
        powers = torch.view_as_real(spectra).double().square().sum(dim=(1, 3))
        products = (spectra[:1].conj() * spectra).real.sum(dim=1, dtype=torch.float64)
        self.powers = self.powers + powers if self.powers.numel() else powers
        self.products = self.products + products if self.products.numel() else products

    def outside(self, stretches: Stretches, sample_rate: int) -> Tensor:
        """Return whether each frame has no sample of a stretch or of its fades, (N,)."""
        kept, fade = torch.ones(len(self.counts), dtype=torch.bool), fade_samples(sample_rate)
        for start, stop in sample_ranges(stretches, sample_rate):
            kept[max(0, start - fade) // FRAME : (stop + fade) // FRAME + 1] = False
        return kept

    def rms(self, kept: Tensor, together: bool = False) -> Tensor:
        """Return the level of each channel in the kept frames that are not silent, (C,)."""
        energies, sums = self.energies.double(), self.sums.double()
        if together:
            energies = energies.mean(dim=0, keepdim=True).expand_as(energies)
        loud = kept & (energies > GATE * self.counts)
        loud = torch.where(loud.any(dim=1, keepdim=True), loud, kept)
        count = (self.counts * loud).sum(dim=1).clamp(min=1)
        mean = sums.where(loud, 0).sum(dim=1) / count
        offset = torch.zeros_like(mean) if together else mean.square()
        return (energies.where(loud, 0).sum(dim=1) / count - offset).clamp(min=0).sqrt()

    def coherence(self, sample_rate: int) -> Coherence | None:
        """Return the coherence of the channels; None if there is one, or no whole frame."""
        channels, bins = self.powers.shape
        if channels < 2:
            return None
        octaves = torch.linspace(0, sample_rate / 2, bins).div(LOWEST_HZ).clamp(min=1).log2()
        band = (octaves * BANDS_PER_OCTAVE).long()
        count = int(band[-1]) + 1
        zeros = torch.zeros(channels, count, dtype=torch.float64)
        powers, products = (zeros.index_add(1, band, x) for x in (self.powers, self.products))
        density = powers[:1].minimum(powers) / band.bincount(minlength=count).clamp(min=1)
        is_valid = density > SMALLEST_DENSITY * density.amax(dim=1, keepdim=True)
        values = products / (powers[:1] * powers).sqrt().clamp(min=1e-300) * is_valid
        signs = torch.where(values.sum(dim=1) < 0, -1.0, 1.0)
        values = (_carried(values * signs[:, None], is_valid).clamp(0, 1) * STEPS).round() / STEPS
        highest_hz = LOWEST_HZ * 2 ** (torch.arange(1, count + 1) / BANDS_PER_OCTAVE)
        return Coherence(highest_hz.double(), values, signs)


def _outside(recording: Recording, stretches: Stretches) -> Iterator[Tensor]:
    """Yield the samples of a recording outside of stretches and of their fades."""
    first, rate = 0, recording.sample_rate
    for block in recording.blocks():
        weight = change_weight(stretches, rate, block.shape[-1], first)
        yield block if weight is None else block[:, weight == 0]
        first += block.shape[-1]


def _carried(values: Tensor, is_valid: Tensor) -> Tensor:
    """Replace the values (C, N) that are not valid by the last valid one before them."""
    place = torch.arange(values.shape[1]).expand_as(values).masked_fill(~is_valid, 0)
    return values.gather(1, place.cummax(dim=1).values)
