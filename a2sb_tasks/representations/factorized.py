"""The paper's three-channel representation: compressed magnitude, cosine and sine of the phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_tasks.representations.stft import STFTRepresentation

KNOWN_RESIDUAL = 1e-12
"""Known bins lie on the unit circle up to rounding; those of a sampler do not."""
SMALLEST = 1e-20  # keeps the direction of an empty bin finite


class Factorized(STFTRepresentation):
    """X1 = A^p, X2 = cos Theta, X3 = sin Theta, (6) and (7).

    Raises:
        ValueError: the audio is not float, from :func:`torch.stft`.
    """

    class Config(STFTRepresentation.Config):
        """Settings of the STFT, the compression, and the refinement of phases."""

        name: str = "factorized"
        power: FiniteFloat = Field(0.25, gt=0, le=10)
        """Exponent p of the compression of magnitudes, (7)."""
        phase_iterations: int = Field(0, ge=0, le=1000)
        """Number of iterations of the consistency projection of Griffin and Lim (1984) on restored
        bins before decoding; observed bins are fixed (the paper: 0)."""
        negative: Literal["zero", "signed"] = "zero"
        """Meaning of a negative magnitude that a network returns: ``zero``, or ``signed``, which
        keeps its sign in (17), so that the phase turns by pi, as the published code does."""

    channels = 3

    @property
    def refine_context(self) -> int:  # type: ignore[override]
        """Number of frames on each side that the iterations reach through overlapping frames."""
        iterations, n_fft = self.config.phase_iterations, self.config.n_fft
        return int(iterations * 2 * -(-n_fft // (2 * self.config.hop_length)))

    def encode(self, wave: Tensor) -> Tensor:
        """Factorize audio (B, T) into (B, 3, F, W); the phase of an empty bin is 0."""
        return self._factorize(self.spectrum(wave))

    def decode(self, z: Tensor, length: int) -> Tensor:
        """Invert by (17): magnitude X1^(1/p), phase from the orthogonalized pair."""
        return self.waveform(self._bins(z), length)

    def project(self, z: Tensor) -> Tensor:
        """Orthogonalize the phase, (12) to (16), in closed form; clip negative magnitudes at 0.

        The nearest rotation to R = [[X2, -X3], [X3, X2]] in least squares is R over the norm of
        (X2, X3), without a singular value decomposition. A pair of zeros becomes phase 0. With
        ``negative: signed``, magnitudes stay as they are.
        """
        cos, sin = _unit(z[:, 1], z[:, 2])
        magnitude = z[:, 0] if self.config.negative == "signed" else z[:, 0].clamp(min=0)
        return torch.stack([magnitude, cos, sin], dim=1)

    def phase_residual(self, z: Tensor) -> Tensor:
        """Return Err_phase-ortho of (18) of each bin, 2 (sqrt(X2^2 + X3^2) - 1)^2, (B, F, W)."""
        norm = torch.hypot(z[:, 1], z[:, 2])
        return 2 * (norm - 1).square()

    def diagnostics(self, z: Tensor) -> Mapping[str, Tensor]:
        """Return ``phase_residual`` (18) and ``phase_residual_hz`` of the restored bins."""
        residual = self.phase_residual(z).detach().float().cpu()
        restored = (residual > KNOWN_RESIDUAL).nonzero()
        freqs_hz = self.grid(1).freqs_hz.float().cpu()
        return {
            "phase_residual": residual[tuple(restored.T)],
            "phase_residual_hz": freqs_hz[restored[:, 1]],
        }

    def refine(self, z: Tensor, missing: Tensor | None, length: int) -> Tensor:
        """Make restored phases consistent between overlapping frames and with observed bins.

        Each iteration decodes, encodes again, and keeps the new phases (but not the new magnitudes)
        of the missing bins.
        """
        if missing is None or self.config.phase_iterations == 0:
            return z
        missing = missing.expand(len(z), 1, *z.shape[2:])[:, 0]
        bins = self._bins(z)
        magnitude = bins.abs()
        for _ in range(self.config.phase_iterations):
            again = self.spectrum(self.waveform(bins, length))
            turned = again * (magnitude / again.abs().clamp(min=SMALLEST))
            turned = torch.where(again.abs() < SMALLEST, bins, turned)  # it has no phase
            bins = torch.where(missing, turned, bins)
        return torch.where(missing[:, None], self._factorize(bins), z)

    def _factorize(self, spectrum: Tensor) -> Tensor:
        magnitude = spectrum.abs()
        cos, sin = _unit(spectrum.real, spectrum.imag)
        return torch.stack([magnitude**self.config.power, cos, sin], dim=1)

    def _bins(self, z: Tensor) -> Tensor:
        compressed, cos, sin = self.project(z).unbind(dim=1)
        magnitude: Tensor = compressed.abs() ** (1 / self.config.power)
        if self.config.negative == "signed":
            magnitude = magnitude.copysign(compressed)
        return torch.complex(cos, sin) * magnitude


def _unit(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (x, y) to the unit circle; (1, 0) where both are zero."""
    norm = torch.hypot(x, y)
    empty = norm == 0
    norm = norm.masked_fill(empty, 1)
    return (x / norm).masked_fill(empty, 1), y / norm
