"""Base class of the representations with the short-time Fourier transform of section 3.1."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from a2sb_core.interfaces import ComponentConfig, Grid, Representation


class STFTRepresentation(Representation):
    """Base class: a centred STFT with a periodic Hann window and reflected ends, without DC.

    ``n_fft / 2`` rows remain, which a network can halve repeatedly. The DC row is decoded as zero;
    the splice of the restorer keeps that of the input.
    """

    class Config(ComponentConfig):
        """Settings of the STFT; the defaults are those of the paper."""

        n_fft: int = Field(2048, ge=2, le=2**20)
        """Size of the transform and of its window, in samples."""
        hop_length: int = Field(512, ge=1, le=2**20)
        """Number of samples between frames."""
        sample_rate: int = Field(44100, ge=1000, le=1_000_000)
        """Sample rate of the audio, in Hz."""

    window: Tensor

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        n_fft: int = self.config.n_fft
        self.sample_rate, self.stride = self.config.sample_rate, self.config.hop_length
        self.rows, self.context = n_fft // 2, n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def frames(self, length: int) -> int:
        """Return 1 + length // hop; audio that is too short to be reflected is zero-padded."""
        return 1 + max(length, self._shortest) // self.stride

    def grid(self, length: int) -> Grid:
        """Return rows from one bin above DC to Nyquist, and frames at multiples of the hop."""
        bin_hz = self.sample_rate / self.config.n_fft
        return Grid(
            sample_rate=self.sample_rate,
            freqs_hz=torch.arange(1, self.rows + 1) * bin_hz,
            # Single precision would be wrong by many samples for recordings of hours.
            times_s=torch.arange(self.frames(length), dtype=torch.float64)
            * (self.stride / self.sample_rate),
            frame_s=self.config.n_fft / self.sample_rate,
        )

    def spectrum(self, wave: Tensor) -> Tensor:
        """Transform audio (B, T) into complex bins (B, F, W) without DC."""
        wave = nn.functional.pad(wave, (0, max(0, self._shortest - wave.shape[-1])))
        n_fft, hop = self.config.n_fft, self.config.hop_length
        return torch.stft(wave, n_fft, hop, window=self.window, return_complex=True)[:, 1:]

    def waveform(self, spectrum: Tensor, length: int) -> Tensor:
        """Invert :meth:`spectrum` with a DC row of zeros, (B, length)."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        whole = nn.functional.pad(spectrum, (0, 0, 1, 0))
        wave = torch.istft(
            whole, n_fft, hop, window=self.window, length=max(length, self._shortest)
        )
        return wave[:, :length]

    @property
    def _shortest(self) -> int:
        return int(self.config.n_fft) // 2 + 1
