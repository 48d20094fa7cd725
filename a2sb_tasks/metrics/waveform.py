"""Metrics of the waveform: scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric, Outcome
from a2sb_tasks.metrics.region import Region, missing_samples
from a2sb_tasks.metrics.spectral import ratio_db


class SISDR(Metric):
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019).

    With a = <s, e>/||s||^2 for truth s and estimate e it is 10 log10(||a s||^2/||a s - e||^2). It
    compares samples, and thus also phases.
    """

    higher_is_better = True
    LIMIT_DB = 100.0

    class Config(ComponentConfig):
        """Region that is compared."""

        name: str = "si_sdr"
        region: Region = "all"
        """``missing`` compares only the content above the cutoff, or in the gaps."""

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare recordings (C, T); the result is limited to plus and minus ``LIMIT_DB``."""
        pairs = zip(truth.double(), estimate.double(), strict=True)
        return float(torch.stack([ratio_db(s, e, self.LIMIT_DB) for s, e in pairs]).mean())

    def judge(self, outcome: Outcome) -> float | None:
        """Compare the configured region; None if nothing is known to be missing."""
        if self.config.region == "all":
            return super().judge(outcome)
        truth, estimate = (
            missing_samples(wave.double(), outcome.sample_rate, outcome.parameters)
            for wave in (outcome.truth, outcome.estimate)
        )
        if truth is None or estimate is None:
            return None
        return self.measure(truth, estimate, outcome.sample_rate)
