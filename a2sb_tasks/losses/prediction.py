"""The error of the prediction, (10)."""

from __future__ import annotations

from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Loss, TrainingEstimate, mean_of


class PredictionError(Loss):
    """Mean of the errors of the prediction over what counts: the objective of the paper, (10)."""

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "prediction"

    def forward(self, trial: TrainingEstimate) -> Tensor:
        """Return the mean error of each item, (B,)."""
        return mean_of(trial, trial.errors.float())
