"""ViSQOL (Chinen et al. 2020) in audio mode, computed by the package `visqol-python`."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torchaudio.functional
from torch import Tensor

from a2sb_core.interfaces import A2SBError, ComponentConfig, Metric


class Visqol(Metric):
    """Predicted mean opinion score at 48 kHz; equal recordings score 4.73.

    Raises:
        A2SBError: the package is not installed.
    """

    higher_is_better = True
    SAMPLE_RATE = 48000

    class Config(ComponentConfig):
        """Treatment of channels."""

        name: str = "visqol"
        mono: bool = True
        """Compare the mean of the channels, which takes one run, instead of each channel."""

    def check(self) -> None:
        """Load the package."""
        _ = self._api

    @cached_property
    def _api(self) -> Any:
        try:
            from visqol import VisqolApi
        except ImportError as error:
            raise A2SBError(
                "the metric `visqol` needs the package visqol-python: "
                "install it with `pip install a2sb[evaluate]`"
            ) from error
        api = VisqolApi()
        api.create(mode="audio")
        return api

    def measure(self, truth: Tensor, estimate: Tensor, sample_rate: int) -> float:
        """Compare (C, T) recordings."""
        pairs = [
            torchaudio.functional.resample(
                wave.mean(dim=0, keepdim=True) if self.config.mono else wave,
                sample_rate,
                self.SAMPLE_RATE,
            )
            .double()
            .numpy()
            for wave in (truth, estimate)
        ]
        scores = [
            self._api.measure_from_arrays(a, b, self.SAMPLE_RATE).moslqo
            for a, b in zip(*pairs, strict=True)
        ]
        return float(np.mean(scores))
