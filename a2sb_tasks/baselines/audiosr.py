"""Adapter for AudioSR (Liu et al. 2023), the package `audiosr`, which extends bandwidth."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import torch
import torchaudio.functional
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import A2SBError, AudioRestorer, ComponentConfig, TaskError


class AudioSR(AudioRestorer):
    """Runs AudioSR on each channel, in pieces of the length that it is designed for.

    Raises:
        A2SBError: the package is not installed.
    """

    RATE = 48000

    class Config(ComponentConfig):
        """Settings of AudioSR, and the length of its pieces."""

        name: str = "audiosr"
        model: Literal["basic", "speech"] = "basic"
        """Name of the model of AudioSR."""
        steps: int = Field(50, ge=1)
        """Number of sampling steps."""
        guidance: float = 3.5
        """Guidance scale."""
        seed: int = 0
        """Random seed."""
        piece_s: float = Field(5.12, gt=0)
        """Length of a piece in seconds; the last piece is padded, and its result is cut."""
        device: str = "auto"
        """Device, by the name that AudioSR uses."""

    def check(self) -> None:
        """Import the package.

        Raises:
            A2SBError: the package is not installed.
        """
        _ = self._package

    @cached_property
    def _package(self) -> Any:
        try:
            return importlib.import_module("audiosr")
        except ImportError as error:
            raise A2SBError(
                "the restorer `audiosr` needs the package audiosr, which pins old versions of "
                "other packages: install it together with a2sb in a separate environment, by "
                "`pip install audiosr`"
            ) from error

    @cached_property
    def _model(self) -> Any:
        return self._package.build_model(model_name=self.config.model, device=self.config.device)

    def restore_audio(
        self, wave: Tensor, sample_rate: int, task: str, parameters: Mapping[str, Any]
    ) -> Tensor:
        """Extend the bandwidth of (C, T) audio; AudioSR finds the cutoff automatically.

        Raises:
            TaskError: the task is not `bandwidth`.
        """
        if task != "bandwidth":
            raise TaskError("audiosr supports only the task `bandwidth`")
        piece = max(1, round(self.config.piece_s * sample_rate))
        channels = [
            torch.cat([self._extend(part, sample_rate, piece) for part in channel.split(piece)])
            for channel in wave
        ]
        return torch.stack(channels).to(wave)

    def _extend(self, part: Tensor, sample_rate: int, piece: int) -> Tensor:
        """Extend one piece (T,) through a file; a short piece is padded with zeros."""
        given = torch.nn.functional.pad(part, (0, piece - len(part)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piece.wav"
            soundfile.write(path, given.double().numpy(), sample_rate, subtype="FLOAT")
            made = self._package.super_resolution(
                self._model,
                str(path),
                seed=self.config.seed,
                guidance_scale=self.config.guidance,
                ddim_steps=self.config.steps,
            )
        made = torch.from_numpy(np.asarray(made, dtype=np.float32).reshape(-1))
        back = torchaudio.functional.resample(made, self.RATE, sample_rate)
        return torch.nn.functional.pad(back, (0, max(0, len(part) - len(back))))[: len(part)]
