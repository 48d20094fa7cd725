"""Reconstruction guidance: an unconditional model is pulled towards what is known."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import AnyPrediction, Bridge, ComponentConfig, Network, Prediction


class Guided(Prediction):
    """Moves the estimate of x0 against the gradient of its error where x1 is known.

        x0_hat - strength |r| g/|g|,  r = x0_hat - x1 where known,  g = gradient of |r|^2/2 to x_t

    The direction is that of the inverse methods for diffusion models (Chung et al. 2023; Moliner et
    al. 2023); the step is measured in the error itself, so that it ends where that does. It costs a
    pass back through the network. Training is that of ``inner``, for which nothing is known.
    """

    class Config(ComponentConfig):
        """What is guided, and how strongly."""

        name: str = "guided"
        inner: AnyPrediction
        """The prediction that the network was trained with; it must not be told what is known."""
        strength: float = Field(0.5, ge=0)
        """Length of a step, of the error there is; 0: none."""

    config: Config

    def __init__(self, config: ComponentConfig, channels: int, rows: int) -> None:
        super().__init__(config, channels, rows)
        self.inner: Prediction = self.config.inner.build(channels=channels, rows=rows)
        self.condition_channels = self.inner.condition_channels

    def fit(self, x0: Tensor) -> None:
        """Fit ``inner``."""
        self.inner.fit(x0)

    def errors(
        self, network: Network, bridge: Bridge, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return those of ``inner``."""
        return self.inner.errors(network, bridge, x0, xt, t, x1, missing)

    def denoise(
        self, network: Network, bridge: Bridge, xt: Tensor, t: Tensor, x1: Tensor,
        missing: Tensor | None,
    ) -> Tensor:
        """Return the guided estimate; where all is missing, that of ``inner``."""
        if missing is None or self.config.strength == 0:
            return self.inner.denoise(network, bridge, xt, t, x1, missing)
        is_training = torch.is_grad_enabled()
        with torch.enable_grad():
            state = xt.detach().clone().requires_grad_()
            x0 = self.inner.denoise(network, bridge, state, t, x1, missing)
            error = _length((x0 - x1).masked_fill(missing, 0))
            # The gradient of the length is that of |r|^2/2 over the length: of one direction.
            (pull,) = torch.autograd.grad(error.sum(), state, retain_graph=is_training)
        tiny = torch.finfo(pull.dtype).tiny
        step = self.config.strength * error.detach()
        return (x0 if is_training else x0.detach()) - step * pull / _length(pull).clamp(min=tiny)


def _length(x: Tensor) -> Tensor:
    """Euclidean length of each item, (B, 1, 1, 1); its gradient at zero is zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return length
