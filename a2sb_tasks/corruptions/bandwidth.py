"""Bandwidth limitation: every row from the cutoff up is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from a2sb_core.interfaces import (
    Degraded,
    Differentiable,
    FrozenConfig,
    Grid,
    Item,
    Marks,
    MaskCorruption,
    Noise,
    Recording,
    TaskError,
    partly_known,
)
from a2sb_tasks.corruptions.drawing import ascending
from a2sb_tasks.corruptions.low_pass import EDGE_DB, LowPass
from a2sb_tasks.detection.cutoff import StereoCutoffDetector

NARROWEST = 1.2
"""Smallest ratio of a drawn ceiling to the cutoff."""
HIGHEST_CEILING = 1.5
"""Ratio of the highest drawn ceiling to the highest cutoff."""


class Bandwidth(Differentiable, MaskCorruption["Bandwidth.Parameters"]):
    """Bandwidth extension as masking: M = 1 for rows at and above the cutoff, section 3.2."""

    task = "bandwidth"
    label = "Extend bandwidth"

    N_FFT = 4096  # fine enough to see a filter's slope at 2 kHz
    LOWEST_SHARE = 0.75  # of the cutoff: common filters do not attenuate below it
    SMALLEST_ROWS = 8  # fewer rows are not significant
    FADE_DB = EDGE_DB  # below the upper quarter of the band: a filter causes it, not the music

    class Config(MaskCorruption.Config):
        """Range from which training draws the cutoff uniformly."""

        name: str = "bandwidth"
        low_hz: float = Field(2000.0, gt=0)
        """Lowest cutoff, in Hz."""
        high_hz: float = Field(16000.0, gt=0)
        """Highest cutoff, in Hz."""
        ceilings: float = Field(0.0, ge=0, le=1)
        """Share of the training items with a ceiling, which is drawn uniformly between the cutoff
        and one and a half times the highest cutoff. The content above it is known to be silent
        (default: 0)."""
        filters: float = Field(0.0, ge=0, le=1)
        """Share of the training items whose audio passes a real low-pass filter, of a kind drawn at
        random. Its attenuation below the edge is part of the known content, as in a recording
        (default: 0)."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            return ascending(self, "low_hz", "high_hz")

    class Parameters(FrozenConfig):
        """The cutoff of the audio."""

        cutoff_hz: float = Field(gt=0)
        """Highest frequency that the audio contains, in Hz."""
        edge_hz: float | None = Field(None, gt=0)
        """Frequency in Hz from which content is restored, where the attenuation of the low-pass
        filter begins; found by default."""
        ceiling_hz: float | None = Field(None, gt=0)
        """Frequency in Hz above which nothing is added; by default the model decides where the
        content ends."""

        @model_validator(mode="after")
        def _ascend(self) -> Self:
            lowest = self.cutoff_hz
            if lowest is not None and self.ceiling_hz is not None and self.ceiling_hz <= lowest:
                raise ValueError(
                    f"ceiling_hz must be above the cutoff of {lowest:g} Hz, got {self.ceiling_hz:g}"
                )
            return self

        @property
        def missing_from_hz(self) -> float:
            """Frequency in Hz from which content counts as missing."""
            return self.cutoff_hz if self.edge_hz is None else self.edge_hz

    class Filtered(Parameters):
        """Parameters of a training item whose audio passes a filter."""

        low_pass: LowPass
        """The filter."""

    @property
    def ranges(self) -> Mapping[str, Sequence[Any]]:  # type: ignore[override]
        """Range of the cutoff."""
        return {"cutoff_hz": (self.config.low_hz, self.config.high_hz)}

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Draw the cutoff and, for a share of the items each, a ceiling and a filter."""
        drawn = self._with_ceiling(super().draw(duration_s, generator), generator)
        share = self.config.filters
        if not share or float(torch.rand((), generator=generator)) >= share:
            return drawn
        low_pass = LowPass.draw(drawn.cutoff_hz, generator)
        ceiling_hz = drawn.ceiling_hz
        if ceiling_hz is not None:
            ceiling_hz = max(ceiling_hz, NARROWEST * low_pass.edge_hz)
        return self.Filtered(
            cutoff_hz=drawn.cutoff_hz,
            edge_hz=low_pass.edge_hz,
            ceiling_hz=ceiling_hz,
            low_pass=low_pass,
        )

    def _with_ceiling(self, drawn: Parameters, generator: torch.Generator) -> Parameters:
        """Draw a ceiling for a share of the items."""
        if not self.config.ceilings or float(torch.rand((), generator=generator)) >= (
            self.config.ceilings
        ):
            return drawn
        lowest, u = NARROWEST * drawn.cutoff_hz, float(torch.rand((), generator=generator))
        ceiling_hz = lowest + u * (HIGHEST_CEILING * self.config.high_hz - lowest)
        return self.Parameters(cutoff_hz=drawn.cutoff_hz, ceiling_hz=max(lowest, ceiling_hz))

    def observed(self, **known: Any) -> Parameters:
        """Return the parameters of a recording; without a cutoff, it is found."""
        if known.get("cutoff_hz") is not None:
            return self.Parameters.model_validate(known)
        kind = partly_known(self.Parameters, frozenset())
        return kind.model_validate(known)  # type: ignore[return-value]

    def forward(self, wave: Tensor, parameters: Parameters, sample_rate: int) -> Tensor:
        """Remove from audio (C, T) what is missing, by its spectrum as a whole."""
        freqs_hz = torch.fft.rfftfreq(wave.shape[-1], 1 / sample_rate, device=wave.device)
        missing = self._rows(freqs_hz, parameters)
        known = torch.fft.rfft(wave).masked_fill(missing, 0)
        limited: Tensor = torch.fft.irfft(known, wave.shape[-1])
        return limited

    def missing(self, grid: Grid, parameters: Parameters) -> Tensor:
        """Mark the rows at and above the cutoff, and below the ceiling."""
        return self._rows(grid.freqs_hz, parameters)[:, None].expand(grid.shape)

    def degrade(self, item: Item, parameters: Parameters, noise: Noise) -> Degraded:
        """Replace missing content; what lies above a ceiling is silent.

        If a filter was drawn, the known content is that of the filtered audio.
        """
        if isinstance(parameters, self.Filtered):
            wave = parameters.low_pass.apply(item.wave, item.representation.sample_rate)
            z = item.representation.encode(wave)[..., : item.z.shape[-1]]
            item = replace(item, wave=wave, z=z)
        if parameters.ceiling_hz is not None:
            above = (item.grid.freqs_hz >= parameters.ceiling_hz).to(item.z.device)[:, None]
            silence = item.representation.encode(torch.zeros_like(item.wave))
            item = replace(item, z=torch.where(above, silence[..., : item.z.shape[-1]], item.z))
        return super().degrade(item, parameters, noise)

    def observe(self, item: Item, parameters: Parameters, noise: Noise) -> Degraded:
        """Replace missing content; what lies above a ceiling is that of the recording."""
        return super().degrade(item, parameters, noise)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters | None:
        """Find the cutoff if it is not given, and the edge of the low-pass filter.

        An anti-alias filter attenuates the last tenth of its band. That part must count as missing;
        otherwise a network mistakes the attenuation for a property of the music.

        Returns:
            The cutoff and the edge; None if the recording is full band.

        Raises:
            TaskError: the sample rate of the model cannot hold the cutoff.
        """
        rate = recording.model_rate
        ceiling_hz = None if given is None else given.ceiling_hz
        if given is not None and given.cutoff_hz is None:
            given = None
        if given is not None:
            _check_cutoff(given.cutoff_hz, rate)
        detector, power = StereoCutoffDetector(rate), _MeanPower(self.N_FFT)
        for block in recording.blocks(rate):
            if given is None:
                detector.push(block)
            power.push(block)
        if given is None:
            estimate = detector.estimate()
            for note in (estimate.reason, *detector.notes(estimate)):
                recording.note(note)
            if estimate.cutoff_hz is None:
                return None
            given = self._within(estimate.cutoff_hz, ceiling_hz)
        if given.edge_hz is not None:
            return given
        return given.model_copy(update={"edge_hz": self._edge_hz(given.cutoff_hz, power, rate)})

    def describe(self, parameters: Parameters) -> str:
        """Describe the cutoff and the ceiling."""
        if parameters.ceiling_hz is None:
            return f"energy ends at {parameters.cutoff_hz:.0f} Hz, extending above"
        return (
            f"energy ends at {parameters.cutoff_hz:.0f} Hz, extending up to "
            f"{parameters.ceiling_hz:.0f} Hz"
        )

    def marks(self, parameters: Parameters) -> Marks:
        """Mark the cutoff and the ceiling."""
        known = (parameters.cutoff_hz, parameters.ceiling_hz)
        return Marks(frequencies_hz=tuple(hz for hz in known if hz is not None))

    def output_rate(self, parameters: Parameters, sample_rate: int, model_rate: int) -> int:
        """Return a rate that can represent the extended band: at least that of the model."""
        return max(sample_rate, model_rate)

    def _rows(self, freqs_hz: Tensor, parameters: Parameters) -> Tensor:
        """Return which frequencies are missing."""
        rows = freqs_hz >= parameters.missing_from_hz
        if parameters.ceiling_hz is not None:
            rows = rows & (freqs_hz < parameters.ceiling_hz)
        return rows

    def _within(self, cutoff_hz: float, ceiling_hz: float | None) -> Parameters:
        """Return the parameters of a cutoff that was found, below a given ceiling."""
        if ceiling_hz is not None and ceiling_hz <= cutoff_hz:
            raise TaskError(
                f"the energy of the recording ends at {cutoff_hz:.0f} Hz, which is not below the "
                f"ceiling of {ceiling_hz:g} Hz: raise the ceiling"
            )
        return self.Parameters(cutoff_hz=cutoff_hz, ceiling_hz=ceiling_hz)

    def _edge_hz(self, cutoff_hz: float, power: _MeanPower, sample_rate: int) -> float:
        """Return the frequency from which the mean spectrum falls towards the cutoff."""
        first = int(self.LOWEST_SHARE * cutoff_hz * self.N_FFT / sample_rate)
        last = int(cutoff_hz * self.N_FFT / sample_rate)
        mean = power.mean()
        if mean is None or last - first < self.SMALLEST_ROWS:
            return cutoff_hz
        level_db = 10 * mean.clamp(min=1e-20).log10()
        floor_db = level_db[first:last].median() - self.FADE_DB
        present = (level_db[first : last + 1] >= floor_db).nonzero()
        return min(cutoff_hz, (first + int(present[-1]) + 0.5) * sample_rate / self.N_FFT)


def _check_cutoff(cutoff_hz: float, sample_rate: int) -> None:
    if cutoff_hz >= sample_rate / 2:
        raise TaskError(
            f"the cutoff {cutoff_hz:g} Hz is not below half the sample rate "
            f"({sample_rate / 2:g} Hz): there is nothing above it to extend"
        )


class _MeanPower:
    """Mean power spectrum of audio that arrives in blocks (C, n)."""

    def __init__(self, n_fft: int) -> None:
        self.n_fft, self.window = n_fft, torch.hann_window(n_fft)
        self.total = torch.zeros(n_fft // 2 + 1, dtype=torch.float64)
        self.count = 0
        self.rest: Tensor | None = None

    def push(self, block: Tensor) -> None:
        """Add the next samples (C, n)."""
        wave = block.float()
        if self.rest is not None:
            wave = torch.cat([self.rest, wave], dim=-1)
        self.rest = wave
        if wave.shape[-1] < self.n_fft:
            return
        hop = self.n_fft // 2
        frames = wave.unfold(-1, self.n_fft, hop)
        spectrum = torch.fft.rfft(frames * self.window)
        self.total += spectrum.abs().square().mean(dim=0).sum(dim=0)
        self.count += frames.shape[1]
        self.rest = wave[:, frames.shape[1] * hop :]

    def mean(self) -> Tensor | None:
        """Return the mean power (n_fft/2 + 1,); None if the audio was too short."""
        return self.total / self.count if self.count else None
