"""A model: the parts of one composition, built and fitted together."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from a2sb_core.config.run import ModelConfig
from a2sb_core.interfaces import (
    Backbone,
    Bridge,
    Corruption,
    Denoiser,
    Network,
    Prediction,
    Representation,
    Sampler,
)


class Model(nn.Module):
    """All parts of a :class:`ModelConfig`; ``prediction`` and ``backbone`` hold what is learned."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.representation = cast(Representation, config.representation.build())
        self.corruption = cast(Corruption, config.corruption.build())
        self.bridge = cast(Bridge, config.bridge.build())
        self.sampler = cast(Sampler, config.sampler.build())
        channels, rows = self.representation.channels, self.representation.rows
        self.prediction = cast(Prediction, config.prediction.build(channels=channels, rows=rows))
        self.backbone = cast(
            Backbone,
            config.backbone.build(
                channels=channels, condition_channels=self.prediction.condition_channels
            ),
        )

    def denoiser(self) -> Denoiser:
        """Return x0_hat = D(x_t, t, x1, missing) of this model."""
        return self.prediction.denoiser(self.backbone, self.bridge)

    def errors(
        self, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None
    ) -> Tensor:
        """Return the loss of each value before its mean, (B, ch, F, W)."""
        return self.prediction.errors(self.backbone, self.bridge, x0, xt, t, x1, missing)

    def forward(
        self, x0: Tensor, xt: Tensor, t: Tensor, x1: Tensor, missing: Tensor | None,
        estimate: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Same as :meth:`errors`: what data-parallel training calls.

        With ``estimate`` x0_hat of the same pass through the network comes with them.
        """
        if not estimate:
            return self.errors(x0, xt, t, x1, missing)
        network, bridge = _Once(self.backbone), self.bridge
        errors = self.prediction.errors(network, bridge, x0, xt, t, x1, missing)
        return errors, self.prediction.denoise(network, bridge, xt, t, x1, missing)


class _Once:
    """A network that computes once, and says the same to whoever asks again."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.answer: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        if self.answer is None:
            self.answer = self.network(x, t, condition)
        return self.answer
