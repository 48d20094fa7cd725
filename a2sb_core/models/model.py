"""A model: the parts of one composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Protocol, Self, cast

import torch
from torch import Tensor, nn

from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import (
    Backbone,
    Bridge,
    Corruption,
    Denoiser,
    Differentiable,
    Network,
    Prediction,
    Representation,
    Sampler,
    State,
)


class Runtime(Protocol):
    """Evaluates the denoiser of a model in place of PyTorch.

    Attributes:
        name: name of the backend, which differs between runtimes with different results.
        bytes: memory of its weights.
    """

    @property
    def name(self) -> str:
        """Return the name."""
        ...

    @property
    def bytes(self) -> int:
        """Return the bytes."""
        ...

    def check(self, model: Model) -> None:
        """Raise a ModelError if it does not evaluate this model."""

    def denoiser(self, conditioning: Tensor) -> Denoiser:
        """Return the denoiser for items with one damage, as :meth:`Model.conditioning` (1, 2 K)."""


class Model(nn.Module):
    """All parts of a :class:`ModelConfig`; ``prediction`` and ``backbone`` hold what is learned.

    Attributes:
        runtime: evaluates the denoiser in place of PyTorch, if it is not None.

    Raises:
        ConfigError: the damage needs more audio channels together than the representation encodes,
            or a parameter in ``condition_on`` has no range.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.runtime: Runtime | None = None
        self.representation = cast(Representation, config.representation.build())
        self.corruption = cast(Corruption, config.corruption.build())
        self.bridge = cast(Bridge, config.bridge.build())
        self.sampler = cast(Sampler, config.sampler.build())
        _check_channels(self.corruption, self.representation)
        _check_condition(config.condition_on, self.corruption)
        channels, rows = self.representation.channels, self.representation.rows
        self.prediction = cast(Prediction, config.prediction.build(channels=channels, rows=rows))
        self.backbone = cast(
            Backbone,
            config.backbone.build(
                channels=channels, condition_channels=condition_channels(config, self.prediction)
            ),
        )

    def steps_for(self, task: str) -> int | None:
        """Return the default number of evaluations of the network for a task."""
        return self.config.steps.get(task, self.sampler.evaluations)

    def uses(self, corruption: Corruption) -> tuple[str, ...]:
        """Return the parameters of damage that the network or the guidance of the sampler uses."""
        if self.sampler.guides and isinstance(corruption, Differentiable):
            return (*self.config.condition_on, *corruption.fitted)
        return self.config.condition_on

    def conditioning(self, damage: Sequence[Mapping[str, float]]) -> Tensor:
        """Return the parameters of the damage of B items for the network, (B, 2 K).

        Args:
            damage: the known parameters of each item, as :meth:`Corruption.scaled` returns them.

        Returns:
            For each of the K parameters in ``condition_on``, its scaled value (0 if it is not
            known), and 1 if it is known.
        """
        names = self.config.condition_on
        rows = [[(one.get(name, 0.0), name in one) for name in names] for one in damage]
        return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), 2 * len(names))

    def denoiser(self, damage: Mapping[str, float] = MappingProxyType({})) -> Denoiser:
        """Return x0_hat = D(state) of this model, for items with one known damage."""
        conditioning = self.conditioning([damage])
        if self.runtime is not None:
            return self.runtime.denoiser(conditioning)
        return self.prediction.denoiser(self.network(conditioning), self.bridge)

    def evaluated_by(self, runtime: Runtime) -> Self:
        """Return this model, whose denoiser another runtime evaluates.

        Raises:
            ModelError: the runtime evaluates another model.
        """
        runtime.check(self)
        model = copy(self)
        model.runtime = runtime
        return model

    def network(self, conditioning: Tensor | None) -> Network:
        """Return the backbone, whose condition is followed by the parameters (B or 1, 2 K)."""
        if not self.config.condition_on:
            return self.backbone
        given = self.conditioning([{}]) if conditioning is None else conditioning

        def network(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
            planes = given.to(x)[:, :, None, None].expand(x.shape[0], -1, *x.shape[2:])
            if condition is not None:
                planes = torch.cat([condition, planes], dim=1)
            output: Tensor = self.backbone(x, t, planes)
            return output

        return network

    def errors(self, x0: Tensor, state: State, conditioning: Tensor | None = None) -> Tensor:
        """Return the loss of each value before its mean, (B, ch, F, W)."""
        return self.prediction.errors(self.network(conditioning), self.bridge, x0, state)

    def forward(
        self,
        x0: Tensor,
        xt: Tensor,
        t: Tensor,
        x1: Tensor,
        missing: Tensor | None,
        conditioning: Tensor | None = None,
        estimate: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the same as :meth:`errors`; data-parallel training calls it.

        With ``estimate``, return also x0_hat of the same pass through the network.
        """
        state = State(xt, t, x1, missing)
        if not estimate:
            return self.errors(x0, state, conditioning)
        network, bridge = _Once(self.network(conditioning)), self.bridge
        errors = self.prediction.errors(network, bridge, x0, state)
        return errors, self.prediction.denoise(network, bridge, state)


def condition_channels(config: ModelConfig, prediction: Prediction) -> int:
    """Return the number of channels of the condition that the network of a model receives."""
    return prediction.condition_channels + 2 * len(config.condition_on)


def _check_condition(names: Sequence[str], corruption: Corruption) -> None:
    known = corruption.ranged()
    for name in names:
        if name not in known:
            raise ConfigError(
                f"condition_on: `{name}` is no parameter with a range of the corruption "
                f"`{corruption.config.name}`; it has: {', '.join(known) or 'none'}"
            )


def _check_channels(corruption: Corruption, representation: Representation) -> None:
    needed, encoded = corruption.audio_channels, representation.audio_channels
    if needed not in (1, encoded):
        raise ConfigError(
            f"the corruption `{corruption.config.name}` needs {needed} audio channels "
            f"together, but the representation `{representation.config.name}` encodes "
            f"{encoded}: choose a representation of {needed} audio channels"
        )


class _Once:
    """A network that computes once and then returns the same output."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.output: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        if self.output is None:
            self.output = self.network(x, t, condition)
        return self.output
