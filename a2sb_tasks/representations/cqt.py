"""An invertible constant-Q transform: rows on a musical scale, with the same frame rate."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from pydantic import Field, FiniteFloat, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Grid, Representation

Windows = tuple[Tensor, ...]


class CQT(Representation):
    """Nonstationary Gabor frame (Balazs et al. 2011) with windows defined in frequency.

    Row k has the frequency f_k = (fs/2) (2^(k/b) - 1)/(2^(K/b) - 1), k = 0 ... K = ``rows`` - 1,
    with b bins per octave. The spacing is close to (f + f_0) ln(2)/b, f_0 = (fs/2)/(2^(K/b) - 1),
    which is 570 Hz by default: well above f_0 the quality factor is constant, and below it the
    spacing tends to a constant instead of 0. On the scale p(f) with p(f_k) = k each row has the
    window

        g_k(f) = cos(pi/2 v(|p(f) - k|)),   sum over k of g_k(f)^2 = 1 at every f,

    where v is Meyer's polynomial. No window is wider than the frame rate, so that its samples in
    time are complete and the same windows decode exactly: the transform is a tight frame for every
    length. The audio is extended by its mirror image at both ends.

    The values are complex: the two channels are the real and the imaginary part.
    """

    class Config(ComponentConfig):
        """Settings of rows, frames and compression."""

        name: str = "cqt"
        rows: int = Field(256, ge=3, le=65_536)
        """Number of rows from DC to half the sample rate."""
        bins_per_octave: FiniteFloat = Field(48.0, gt=0, le=65_536)
        """Number of rows per octave, except for the lowest rows; more rows allow a longer hop."""
        hop_length: int = Field(64, ge=1, le=2**20)
        """Number of samples between frames."""
        power: FiniteFloat = Field(0.5, gt=0, le=1)
        """Exponent p of the compression of magnitudes, |z|^p, which keeps phases; 1 disables it. A
        steady tone of amplitude a has the magnitude a^p in the row of its frequency."""
        sample_rate: int = Field(44100, ge=1000, le=1_000_000)
        """Sample rate of the audio, in Hz."""

        @model_validator(mode="after")
        def _narrow(self) -> Self:
            octaves = (self.rows - 1) / self.bins_per_octave
            top = -math.expm1(-math.log(2) / self.bins_per_octave) / -math.expm1(
                -math.log(2) * octaves
            )  # spacing of the two highest rows, over half the sample rate
            longest = int(1 / top)
            if self.hop_length > longest:
                raise ValueError(
                    f"hop_length {self.hop_length} is too long for {self.bins_per_octave:g} bins "
                    f"per octave in {self.rows} rows, whose highest window is {top:.3g} times the "
                    f"sample rate wide: at most {longest}"
                )
            return self

    channels = 2
    REACH = 4.0  # times 1/f_1: seconds after which the longest window is below 1e-5

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.sample_rate, self.rows = self.config.sample_rate, self.config.rows
        self.stride = self.config.hop_length
        self.context = math.ceil(self.REACH * self.sample_rate / float(self._row_hz(1.0)))
        self._made: tuple[Any, Windows] | None = None  # cache of the last windows, for streams

    def frames(self, length: int) -> int:
        """Return 1 + ceil(length / hop)."""
        return 1 - -length // self.stride

    def grid(self, length: int) -> Grid:
        """Return rows from DC to half the sample rate, and frames at multiples of the hop.

        ``frame_s`` is the length of the windows of the middle rows. The windows of low rows are
        longer and extend further into a gap.
        """
        number = torch.arange(self.frames(length), dtype=torch.float64)
        freqs_hz = self._row_hz(torch.arange(self.rows, dtype=torch.float64))
        middle = self.rows // 2
        width_hz = float(freqs_hz[middle + 1] - freqs_hz[middle - 1])
        return Grid(
            sample_rate=self.sample_rate,
            freqs_hz=freqs_hz,
            times_s=number * (self.stride / self.sample_rate),
            frame_s=2 / width_hz,
        )

    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B, T) into (B, 2, F, W)."""
        period = 2 * (self.frames(wave.shape[-1]) - 1)  # frames of the audio and its mirror image
        half = period // 2 * self.stride
        padded = torch.nn.functional.pad(wave, (0, half + 1 - wave.shape[-1]))
        spectrum = torch.fft.hfft(padded, 2 * half)[:, : half + 1]  # real: the period is even
        place, window, _ = self._windows(period, wave.device)
        values = torch.fft.ihfft(spectrum[:, place] * window) * (2 / self.stride)
        return torch.view_as_real(_powered(values, self.config.power)).movedim(-1, 1)

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`, (B, length)."""
        values = _powered(torch.complex(z[:, 0], z[:, 1]), 1 / self.config.power)
        period = 2 * (z.shape[-1] - 1)
        half = period // 2 * self.stride
        place, window, share = self._windows(period, z.device)
        parts = torch.fft.hfft(values, period) * (self.stride / 2) * window * share
        spectrum = parts.new_zeros(len(z), half + 1)
        spectrum.index_add_(1, place.flatten(), parts.flatten(1))
        wave: Tensor = torch.fft.ihfft(torch.cat([spectrum, spectrum[:, 1:-1].flip(1)], dim=1)).real
        return wave[:, :length]

    def _windows(self, period: int, device: torch.device) -> Windows:
        if self._made is None or self._made[0] != (period, device):
            made = self._make_windows(period)
            self._made = (period, device), tuple(part.to(device) for part in made)
        return self._made[1]

    def _make_windows(self, period: int) -> Windows:
        """Return the bins and weights of each row, and its shares in decoding.

        All three are (F, M) for a period of M frames. Column r contains the frequency r modulo M,
        because a row is sampled at the frame rate. The rows at DC and at half the sample rate also
        contain negative frequencies, which fold onto positive ones.
        """
        row = torch.arange(self.rows, dtype=torch.float64)[:, None]
        top = period // 2 * self.stride  # number of the bin at half the sample rate
        bin_hz = self.sample_rate / (2 * top)
        low, high = self._row_hz(row - 1) / bin_hz, self._row_hz(row + 1) / bin_hz
        low[0], high[-1] = -high[0], 2 * top - low[-1]
        first = low.floor().long() + 1
        number = first + (torch.arange(period) - first) % period
        place = top - (top - number.abs()).abs()
        distance = (self._number(place * bin_hz) - row).abs()
        inside = (number < high) & (distance < 1)
        window = torch.cos(math.pi / 2 * _meyer(distance.clamp(max=1))) * inside
        both = (place > 0) & (place < top) & ((row == 0) | (row == self.rows - 1))
        share = torch.where(both, 0.5, 1.0)
        return place.clamp(0, top), window.float(), share

    def _row_hz(self, number: Tensor | float) -> Tensor:
        """Return f_k of the class description, for any real k."""
        octaves = torch.as_tensor(number, dtype=torch.float64) / self.config.bins_per_octave
        return self.sample_rate / 2 * torch.expm1(math.log(2) * octaves) / self._span

    def _number(self, freqs_hz: Tensor) -> Tensor:
        """Return p(f) of the class description."""
        b: int = self.config.bins_per_octave
        return b / math.log(2) * torch.log1p(freqs_hz / (self.sample_rate / 2) * self._span)

    @property
    def _span(self) -> float:
        return math.expm1(math.log(2) * (self.rows - 1) / self.config.bins_per_octave)


def _meyer(u: Tensor) -> Tensor:
    """Return v(u), which rises smoothly from 0 to 1, with v(u) + v(1 - u) = 1."""
    return u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3)


def _powered(x: Tensor, power: float) -> Tensor:
    """Raise magnitudes to a power, and keep the phases."""
    if power == 1:
        return x
    magnitude = x.abs()
    return x * torch.where(magnitude > 0, magnitude, 1) ** (power - 1)
