"""Reconstruction guidance of an unconditional model towards the known content."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from a2sb_core.interfaces import AnyPrediction, Bridge, ComponentConfig, Network, Prediction, State


class Guided(Prediction):
    """Moves the estimate of x0 against the gradient of its error where x1 is known.

        x0_hat - strength |r| g/|g|,  r = x0_hat - x1 where known,  g = gradient of |r|^2/2 to x_t

    The direction is that of the inverse methods for diffusion models (Chung et al. 2023; Moliner et
    al. 2023). The length of the step is proportional to the error, so that both vanish together.
    Guidance requires a backward pass through the network. Training is that of ``inner``, which
    knows nothing.
    """

    class Config(ComponentConfig):
        """The guided prediction, and the strength of the guidance."""

        name: str = "guided"
        inner: AnyPrediction
        """Prediction with which the network was trained, without a condition on known content."""
        strength: FiniteFloat = Field(0.5, ge=0)
        """Length of a step, relative to the error; 0 disables guidance."""

    config: Config

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        self.inner: Prediction = self.config.inner.build(channels=channels, rows=rows)
        self.condition_channels = self.inner.condition_channels

    def fit(self, x0: Tensor) -> None:
        """Fit ``inner``."""
        self.inner.fit(x0)

    def errors(self, network: Network, bridge: Bridge, x0: Tensor, state: State) -> Tensor:
        """Return the errors of ``inner``."""
        return self.inner.errors(network, bridge, x0, state)

    def denoise(self, network: Network, bridge: Bridge, state: State) -> Tensor:
        """Return the guided estimate, or that of ``inner`` if everything may change."""
        missing = state.missing
        if missing is None or self.config.strength == 0:
            return self.inner.denoise(network, bridge, state)
        is_training = torch.is_grad_enabled()
        with torch.enable_grad():
            xt = state.xt.detach().clone().requires_grad_()
            x0 = self.inner.denoise(network, bridge, replace(state, xt=xt))
            error = _length((x0 - state.x1).masked_fill(missing, 0))
            # The gradient of the length has the same direction as that of |r|^2/2.
            (pull,) = torch.autograd.grad(error.sum(), xt, retain_graph=is_training)
        tiny = torch.finfo(pull.dtype).tiny
        step = self.config.strength * error.detach()
        return (x0 if is_training else x0.detach()) - step * pull / _length(pull).clamp(min=tiny)


def _length(x: Tensor) -> Tensor:
    """Return the Euclidean length of each item, (B, 1, 1, 1); its gradient at zero is zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return length
