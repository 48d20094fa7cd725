"""What both representations share: the short-time Fourier transform of section 3.1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from a2sb_core.interfaces import ComponentConfig, Grid, Representation


class STFTRepresentation(Representation):
    """Base: centred STFT with a periodic Hann window and reflected ends, without its DC row.

    ``n_fft / 2`` rows are left, a number that halves well. The DC row is decoded as zero; the
    splice of the restorer gives back the input's own.
    """

    class Config(ComponentConfig):
        """STFT settings; the paper's: 2048, 512, 44.1 kHz."""

        n_fft: int = 2048
        """Size of the transform and of its window, in samples."""
        hop_length: int = 512
        """Samples between frames."""
        sample_rate: int = 44100
        """Hz of the audio it works on."""

    window: Tensor

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        n_fft: int = self.config.n_fft
        self.sample_rate, self.stride = self.config.sample_rate, self.config.hop_length
        self.rows, self.context = n_fft // 2, n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def frames(self, length: int) -> int:
        """Return 1 + length // hop; audio too short to be reflected counts as padded with zeros."""
        return 1 + max(length, self._shortest) // self.stride

    def grid(self, length: int) -> Grid:
        """Rows from one bin above DC to Nyquist; frames at multiples of the hop."""
        bin_hz = self.sample_rate / self.config.n_fft
        return Grid(
            sample_rate=self.sample_rate,
            freqs_hz=torch.arange(1, self.rows + 1) * bin_hz,
            # In single precision, frames of a recording of hours would lie many samples off.
            times_s=torch.arange(self.frames(length), dtype=torch.float64)
            * (self.stride / self.sample_rate),
            frame_s=self.config.n_fft / self.sample_rate,
        )

    def spectrum(self, wave: Tensor) -> Tensor:
        """Transform audio (B, T) into complex bins (B, F, W), DC left out."""
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
