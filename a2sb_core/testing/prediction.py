"""Laws of predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.prediction import Prediction
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Brownian, Call, as_network, normal, region

KIND = "prediction"
CHANNELS, ROWS, FRAMES = 3, 4, 6
SEARCHED = 100.0  # network outputs are looked for up to this
BISECTIONS = 60


def build(case: Case) -> Prediction:
    """Make the component, fitted to some data."""
    made: Prediction = case.config.build(channels=CHANNELS, rows=ROWS)
    made.fit(0.3 + 0.8 * normal(6, CHANNELS, ROWS, FRAMES, seed=7))
    return made


@dataclass(frozen=True)
class Batch:
    """States of the bridge on the way, with and without a missing region."""

    x0: Tensor
    xt: Tensor
    t: Tensor
    x1: Tensor
    missing: Tensor | None


def _batch(
    has_region: bool, times: tuple[float, ...] = (0.15, 0.5, 0.9), dtype: Any = torch.float32
) -> Batch:
    shape = (len(times), CHANNELS, ROWS, FRAMES)
    x0 = (0.3 + 0.8 * normal(*shape, seed=1)).to(dtype)
    noise = normal(*shape, seed=2).to(dtype)
    missing = region(len(times), ROWS, FRAMES) if has_region else None
    x1 = x0 + noise if missing is None else torch.where(missing, 0.5 * noise, x0)
    t = torch.tensor(times, dtype=dtype)
    xt = Brownian.Config().build().marginal(x0, x1, t).sample(normal(*shape, seed=3).to(dtype))
    return Batch(x0, xt, t, x1, missing)


def _errors(prediction: Prediction, batch: Batch, output: Tensor) -> Tensor:
    return prediction.errors(
        lambda *_: output, Brownian.Config().build(), batch.x0, batch.xt, batch.t, batch.x1,
        batch.missing,
    )


def _estimate(prediction: Prediction, batch: Batch, output: Tensor) -> Tensor:
    return prediction.denoise(
        lambda *_: output, Brownian.Config().build(), batch.xt, batch.t, batch.x1, batch.missing
    )


def _least(objective: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Return the network output at which an objective is least, each value by bisection.

    The error of a value is taken to depend on that value of the output alone, and to be convex.
    """
    low, high = torch.full_like(like, -SEARCHED), torch.full_like(like, SEARCHED)
    for _ in range(BISECTIONS):
        middle = ((low + high) / 2).requires_grad_()
        (slope,) = torch.autograd.grad(objective(middle).sum(), middle)
        low = torch.where(slope < 0, middle.detach(), low)
        high = torch.where(slope < 0, high, middle.detach())
    return (low + high) / 2


def _wanted(batch: Batch) -> Tensor:
    """Where an estimate counts: what is missing."""
    if batch.missing is None:
        return torch.ones_like(batch.x0, dtype=torch.bool)
    return batch.missing.expand_as(batch.x0)


def calls(case: Case) -> list[Call]:
    """Uses of a prediction."""
    prediction, bridge = build(case), Brownian.Config().build()
    batch = _batch(True)
    assert batch.missing is not None
    return [
        Call(
            "denoise", lambda *given: prediction.denoise(as_network, bridge, *given),
            (batch.xt, batch.t, batch.x1, batch.missing),
        ),
        Call(
            "errors", lambda *given: prediction.errors(as_network, bridge, *given),
            (batch.x0, batch.xt, batch.t, batch.x1, batch.missing),
        ),
        Call(
            "denoise without a region",
            lambda xt, t, x1: prediction.denoise(as_network, bridge, xt, t, x1, None),
            (batch.xt, batch.t, batch.x1),
        ),
    ]


@law(KIND)
def errors_are_not_negative(case: Case) -> None:
    """Errors have the shape of x0 and are zero or more."""
    prediction = build(case)
    for has_region in (True, False):
        batch = _batch(has_region)
        errors = _errors(prediction, batch, normal(*batch.x0.shape, seed=9))
        require(
            errors.shape == batch.x0.shape,
            f"errors have shape {tuple(errors.shape)}, x0 has {tuple(batch.x0.shape)}: "
            "take no mean",
        )
        require(bool((errors >= 0).all()), "an error is negative")


@law(KIND)
def zero_loss_denoises(case: Case) -> None:
    """The network output of zero loss gives x0."""
    prediction = build(case)
    for has_region in (True, False):
        batch = _batch(has_region, dtype=torch.float64)
        output = _least(partial(_errors, prediction, batch), batch.x0)
        least = float(_errors(prediction, batch, output)[_wanted(batch)].mean().detach())
        require(least < 1e-6, f"no network output has zero loss; the least found is {least:.3g}")
        found = _estimate(prediction, batch, output)
        require_close(
            found[_wanted(batch)], batch.x0[_wanted(batch)], 1e-3,
            "the denoiser's answer for the output of zero loss, and x0",
        )


@law(KIND)
def gradients_vanish_at_the_truth(case: Case) -> None:
    """Where the denoiser gives x0, the loss is zero and so are its gradients."""
    prediction = build(case)
    for has_region in (True, False):
        batch = _batch(has_region, dtype=torch.float64)

        def away(y: Tensor, batch: Batch = batch) -> Tensor:
            return (_estimate(prediction, batch, y) - batch.x0).square()

        exact = _least(away, batch.x0).requires_grad_()
        wanted = _wanted(batch)
        errors = _errors(prediction, batch, exact)[wanted]
        (gradient,) = torch.autograd.grad(errors.sum(), exact)
        loss, steepest = float(errors.detach().mean()), float(gradient[wanted].abs().max())
        require(
            loss < 1e-5 and steepest < 1e-2,
            f"where the denoiser gives x0 the loss is {loss:.3g} and its steepest gradient "
            f"{steepest:.3g}, not 0: `errors` and `denoise` are not inverses",
        )


@law(KIND)
def finite_at_the_ends(case: Case) -> None:
    """At t = 0 and t = 1 estimate, errors and gradients are finite."""
    prediction = build(case)
    for has_region in (True, False):
        batch = _batch(has_region, times=(0.0, 1e-6, 1.0))
        output = normal(*batch.x0.shape, seed=9).requires_grad_()
        errors = _errors(prediction, batch, output)
        (gradient,) = torch.autograd.grad(errors.sum(), output)
        for name, value in (
            ("estimate", _estimate(prediction, batch, output)), ("errors", errors),
            ("gradient", gradient),
        ):
            require_finite(value, f"{name} at t = 0, 1e-6 and 1")


@law(KIND)
def condition_has_its_channels(case: Case) -> None:
    """The network is told x_t-like input, the times, and ``condition_channels`` channels."""
    prediction, bridge = build(case), Brownian.Config().build()
    for has_region in (True, False):
        batch = _batch(has_region)

        def network(
            x: Tensor, t: Tensor, condition: Tensor | None, batch: Batch = batch
        ) -> Tensor:
            require(x.shape == batch.xt.shape, f"the network's input is {tuple(x.shape)}")
            require(t.shape == (len(x),), f"the network's times are {tuple(t.shape)}, not (B,)")
            told = 0 if condition is None else condition.shape[1]
            require(
                told == prediction.condition_channels,
                f"the network is told {told} channels; condition_channels says "
                f"{prediction.condition_channels}",
            )
            return x

        prediction.denoise(network, bridge, batch.xt, batch.t, batch.x1, batch.missing)
        prediction.errors(network, bridge, batch.x0, batch.xt, batch.t, batch.x1, batch.missing)


@law(KIND)
def truth_is_not_told(case: Case) -> None:
    """What the network is told in training does not depend on x0, but through x_t and x1."""
    prediction, bridge = build(case), Brownian.Config().build()
    batch = _batch(True)
    told: list[list[Tensor]] = []

    def network(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        told.append([x, t] if condition is None else [x, t, condition])
        return x

    for x0 in (batch.x0, batch.x0 + 1):
        prediction.errors(network, bridge, x0, batch.xt, batch.t, batch.x1, batch.missing)
    same = all(torch.equal(a, b) for a, b in zip(*told, strict=True))
    require(same, "the network is told of x0 in `errors`: it will miss that in `denoise`")
