"""How far a model's cosines and sines of phase are from the unit circle, (18)."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import A2SBError, ComponentConfig, Metric, Outcome


class PhaseResidual(Metric):
    """Mean of Err_phase-ortho = 2 (sqrt(X2^2 + X3^2) - 1)^2, (18), over the bins restored.

    It is a property of what the sampler returns, before phase orthogonalization: only models of
    the factorized representation have it.
    """

    higher_is_better = False

    class Config(ComponentConfig):
        """No settings."""

        name: str = "phase_residual"

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Refuse: audio alone does not tell."""
        raise A2SBError("the metric `phase_residual` needs a model's output, not audio alone")

    def judge(self, outcome: Outcome) -> float | None:
        """Return the mean of the residual; None for a system that is no such model."""
        residual = outcome.residual
        return None if residual is None or not residual.numel() else float(residual.mean())
