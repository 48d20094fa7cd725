"""Differentiable damage, and the comparison of an estimate with what was recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.representation import Representation
from a2sb_core.interfaces.state import State

Operator = Callable[[Tensor], Tensor]
"""Maps x0 (B, ch, F, W) to what would be observed of it, (B, N); it can be differentiated."""


class Differentiable(ABC):
    """An optional interface of a corruption: damage y = A(x) that can be differentiated.

    A sampler that guides an unconditional model (``guides``) compares A(x0_hat) with the recording.
    A corruption of the waveform can be removed in this way if it has this interface. A
    :class:`MaskCorruption` does not need it for that, because known content is compared as it is.

    Attributes:
        fitted: names of the parameters on which :meth:`forward` depends in a guided restoration, so
            that users can give them.

    Example:
        >>> import torch
        >>> from a2sb_core.interfaces import ComponentConfig, Differentiable, FrozenConfig
        >>> from a2sb_core.interfaces import WaveformCorruption
        >>> class Softer(Differentiable, WaveformCorruption):
        ...     '''Halves the level.'''
        ...     task = "softer"
        ...     class Config(ComponentConfig):
        ...         name: str = "softer"
        ...     class Parameters(FrozenConfig):
        ...         pass
        ...     def apply(self, wave, parameters, noise, sample_rate):
        ...         return self.forward(wave, parameters, sample_rate)
        ...     def forward(self, wave, parameters, sample_rate):
        ...         return wave / 2
        >>> wave = torch.ones(1, 3, requires_grad=True)
        >>> softer = Softer.Config().build()
        >>> torch.autograd.grad(softer.forward(wave, None, 44100).sum(), wave)[0]
        tensor([[0.5000, 0.5000, 0.5000]])
    """

    fitted: Sequence[str] = ()

    @abstractmethod
    def forward(self, wave: Tensor, parameters: Any, sample_rate: int) -> Tensor:
        """Damage clean audio (C, T), the channels of a recording; return a tensor of that shape.

        There is no noise, and gradients reach ``wave``. The damage must not depend on the place in
        the recording, unless it is a mask.
        """

    def estimate(self, observed: Tensor, clean: Tensor, parameters: Any, sample_rate: int) -> Any:
        """Return the parameters, with those that are unknown estimated (default: unchanged).

        Guided sampling calls this with each estimate of x0, so that the damage need not be known.

        Args:
            observed: damaged audio y (C, T).
            clean: current estimate of the clean audio, (C, T).
            parameters: the parameters that :meth:`Corruption.inspect` returned.
            sample_rate: sample rate in Hz.
        """
        return parameters


@dataclass(frozen=True)
class Measurement:
    """Comparison of estimates of x0 with a recording.

    Attributes:
        corruption: the damage; only masks need not be :class:`Differentiable`.
        parameters: parameters of the damage.
        representation: representation of x0.
        gains: factors by which the channels were multiplied to bring them to the level of the
            model, (C,).
    """

    corruption: Any
    parameters: Any
    representation: Representation
    gains: Tensor

    def compare(self, state: State, x0: Tensor) -> tuple[Tensor, Operator]:
        """Return what was observed, y (B, N), and the operator A for the items of a state.

        With a mask, y is the known content of x1. Otherwise it is the audio of x1, at the level of
        the model.

        Args:
            state: the state, with whole windows: B is a multiple of the number of items of the
                recording.
            x0: current estimate of x0, by which unknown parameters are estimated.
        """
        missing = state.missing
        if missing is not None:
            known = state.x1.masked_fill(missing, 0).flatten(1)
            return known, lambda x: x.masked_fill(missing, 0).flatten(1)
        with torch.no_grad():
            observed, clean = self._windows(state.x1), self._windows(x0)
            rate = self.representation.sample_rate
            fitted = [
                self.corruption.estimate(one, other, self.parameters, rate)
                for one, other in zip(observed, clean, strict=True)
            ]

        def damaged(x: Tensor) -> Tensor:
            parts = zip(self._windows(x), fitted, strict=True)
            waves = [self.corruption.forward(wave, known, rate) for wave, known in parts]
            return (torch.stack(waves) * self._gains(x)).reshape(len(x), -1)

        return (observed * self._gains(x0)).reshape(len(x0), -1), damaged

    def _windows(self, z: Tensor) -> Tensor:
        """Decode frames into the audio of windows at the level of the recording, (n, C, T)."""
        length = max(1, (z.shape[-1] - 1) * self.representation.stride)
        wave = self.representation.decode(z, length)
        return wave.reshape(-1, len(self.gains), length) / self._gains(z)

    def _gains(self, like: Tensor) -> Tensor:
        """Return the gains, (C, 1); a silent channel, which has the gain 0, is left as it is."""
        gains = torch.where(self.gains != 0, self.gains, 1)
        return gains.to(like)[:, None]
