"""Filling of gaps with the most similar passages of the recording, without training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import AudioRestorer, ComponentConfig, TaskError
from a2sb_tasks.baselines.gaps import gap_samples
from a2sb_tasks.guesses.interpolation import fill_gap
from a2sb_tasks.guesses.similar_passage import with_passage


class PassageFiller(AudioRestorer):
    """Fills a gap with the passages whose surroundings are most like its own.

    Near the edges, and where no passage is similar, linear prediction continues the tones. All
    channels take the passages from the same places.
    """

    class Config(ComponentConfig):
        """Limits of the search."""

        name: str = "similar_passage"
        reach_s: FiniteFloat = Field(8.0, gt=0, le=600)
        """Seconds before and after a gap in which passages are searched."""

    config: Config

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Fill the gaps ``gaps_s`` of (C, T) audio; all other samples are unchanged.

        Raises:
            TaskError: the task is not `inpaint`, or ``gaps_s`` is missing.
        """
        if task != "inpaint" or "gaps_s" not in parameters:
            raise TaskError(
                f"{self.config.name} supports only the task `inpaint`, and needs gaps_s"
            )
        gaps = gap_samples(parameters["gaps_s"], sample_rate, wave.shape[-1])
        damaged, known = wave.double().numpy().copy(), np.ones(wave.shape[-1], dtype=bool)
        for start, stop in gaps:
            known[start:stop] = False
        damaged[:, ~known] = 0
        restored = wave.clone()
        ends = [0, *(stop for _, stop in gaps)]
        starts = [*(start for start, _ in gaps[1:]), wave.shape[-1]]
        for (start, stop), before, after in zip(gaps, ends, starts, strict=False):
            sides = ((x[before:start], x[stop:after]) for x in damaged)
            linear = np.stack([fill_gap(*side, stop - start, sample_rate) for side in sides])
            reach_s = self.config.reach_s
            filled = with_passage(linear, damaged, known, (start, stop), sample_rate, reach_s)
            restored[:, start:stop] = torch.from_numpy(filled).to(restored)
        return restored
