"""The complex STFT as two channels, the representation of the paper's ablation."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_tasks.representations.stft import STFTRepresentation


class ComplexSTFT(STFTRepresentation):
    """Real and imaginary part of the STFT as two channels, as in the ablation of section 4.5."""

    class Config(STFTRepresentation.Config):
        """Settings of the STFT."""

        name: str = "complex_stft"

    channels = 2

    def encode(self, wave: Tensor) -> Tensor:
        """Encode audio (B, T) into (Re S, Im S), (B, 2, F, W)."""
        return torch.view_as_real(self.spectrum(wave)).movedim(-1, 1)

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert :meth:`encode`."""
        return self.waveform(torch.complex(z[:, 0], z[:, 1]), length)
