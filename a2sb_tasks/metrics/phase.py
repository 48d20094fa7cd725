"""Distance of a model's cosines and sines of the phase from the unit circle, (18)."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import A2SBError, ComponentConfig, Metric, Outcome


class PhaseResidual(Metric):
    """Mean of Err_phase-ortho = 2 (sqrt(X2^2 + X3^2) - 1)^2, (18), over the restored bins.

    It is a property of the output of the sampler before phase orthogonalization, so only models
    with the factorized representation have it.
    """

    higher_is_better = False

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "phase_residual"

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Raise A2SBError, because the metric cannot be computed from audio."""
        raise A2SBError("the metric `phase_residual` needs a model's output, not audio alone")

    def judge(self, outcome: Outcome) -> float | None:
        """Return the mean of the residual; None for systems without it."""
        residual = outcome.diagnostics.get("phase_residual")
        return None if residual is None or not residual.numel() else float(residual.mean())
