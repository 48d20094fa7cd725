"""Mean opinion score that a linear regression on other metrics predicts (Table 12)."""

from __future__ import annotations

from functools import cached_property

from pydantic import FiniteFloat, model_validator
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric
from a2sb_tasks.metrics.spectral import LSD, SiSpec
from a2sb_tasks.metrics.visqol import Visqol


class MOSFit(Metric):
    """MOS = intercept + b_1 LSD + b_2 SiSpec + b_3 ViSQOL, with the coefficients of a fit.

    The fit is that of a listening test: `a2sb listen report` computes the coefficients, as the
    paper does for its own test. Such fits explain little of what listeners say (R2 0.245 and 0.252
    in the paper), and hold for the task and the kind of systems that were rated. The three metrics
    have their default settings; the result is not limited to the scale from 1 to 5.
    """

    higher_is_better = True

    class Config(ComponentConfig):
        """Coefficients of the fit."""

        name: str = "mos_fit"
        intercept: FiniteFloat
        """Score where all three metrics are zero."""
        lsd: FiniteFloat = 0.0
        """Coefficient of LSD, by (21)."""
        sispec: FiniteFloat = 0.0
        """Coefficient of SiSpec in dB, by (22) on magnitudes."""
        visqol: FiniteFloat = 0.0
        """Coefficient of ViSQOL, which is computed only if this is not zero."""

        @model_validator(mode="after")
        def _check(self) -> MOSFit.Config:
            if not (self.lsd or self.sispec or self.visqol):
                raise ValueError("at least one of lsd, sispec and visqol must not be zero")
            return self

    @cached_property
    def _terms(self) -> list[tuple[float, Metric]]:
        terms = [
            (self.config.lsd, LSD.Config()),
            (self.config.sispec, SiSpec.Config()),
            (self.config.visqol, Visqol.Config()),
        ]
        return [(slope, config.build()) for slope, config in terms if slope]

    def check(self) -> None:
        """Check the metrics that are used."""
        for _, metric in self._terms:
            metric.check()

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare (C, T) recordings."""
        values = (b * metric.measure(truth, estimate, sample_rate) for b, metric in self._terms)
        return float(self.config.intercept + sum(values))
