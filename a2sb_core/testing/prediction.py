"""Laws of predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.prediction import Prediction
from a2sb_core.interfaces.state import State
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, Steady, as_network, normal, region

KIND = "prediction"
CHANNELS, ROWS, FRAMES = 3, 4, 6
SEARCHED = 100.0  # network outputs are looked for up to this
BISECTIONS = 60
BRIDGE = Steady.Config().build()


def build(case: Case) -> Prediction:
    """Make the component, fitted to some data."""
    made: Prediction = case.config.build(channels=CHANNELS, rows=ROWS)
    made.fit(0.3 + 0.8 * normal(6, CHANNELS, ROWS, FRAMES, seed=7))
    return made


def _batch(
    has_region: bool, times: tuple[float, ...] = (0.15, 0.5, 0.9), dtype: Any = torch.float32
) -> tuple[Tensor, State]:
    """Return x0 and states of the bridge on the way from it, with or without a missing region."""
    shape = (len(times), CHANNELS, ROWS, FRAMES)
    x0 = (0.3 + 0.8 * normal(*shape, seed=1)).to(dtype)
    noise = normal(*shape, seed=2).to(dtype)
    missing = region(len(times), ROWS, FRAMES) if has_region else None
    x1 = x0 + noise if missing is None else torch.where(missing, 0.5 * noise, x0)
    t = torch.tensor(times, dtype=dtype)
    xt = BRIDGE.marginal(x0, x1, t).sample(normal(*shape, seed=3).to(dtype))
    return x0, State(xt, t, x1, missing)


def _errors(prediction: Prediction, x0: Tensor, state: State, output: Tensor) -> Tensor:
    return prediction.errors(lambda *_: output, BRIDGE, x0, state)


def _estimate(prediction: Prediction, state: State, output: Tensor) -> Tensor:
    return prediction.denoise(lambda *_: output, BRIDGE, state)


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


def _wanted(state: State) -> Tensor:
    """Where an estimate counts: what is missing."""
    if state.missing is None:
        return torch.ones_like(state.xt, dtype=torch.bool)
    return state.missing.expand_as(state.xt)


def calls(case: Case) -> list[Call]:
    """Uses of a prediction."""
    prediction = build(case)
    x0, state = _batch(True)
    assert state.missing is not None
    given = (state.xt, state.t, state.x1, state.missing)

    def denoise(*given: Tensor) -> Tensor:
        return prediction.denoise(as_network, BRIDGE, State(*given))

    def errors(x0: Tensor, *given: Tensor) -> Tensor:
        return prediction.errors(as_network, BRIDGE, x0, State(*given))

    return [
        Call("denoise", denoise, given),
        Call("errors", errors, (x0, *given)),
        Call("denoise without a region", denoise, given[:3]),
    ]


@law(KIND)
def errors_are_not_negative(case: Case) -> None:
    """Errors have the shape of x0 and are not negative."""
    prediction = build(case)
    for has_region in (True, False):
        x0, state = _batch(has_region)
        errors = _errors(prediction, x0, state, normal(*x0.shape, seed=9))
        require(
            errors.shape == x0.shape,
            f"errors have shape {tuple(errors.shape)}, x0 has {tuple(x0.shape)}: take no mean",
        )
        require(bool((errors >= 0).all()), "an error is negative")


@law(KIND)
def zero_loss_denoises(case: Case) -> None:
    """The network output of zero loss gives x0."""
    prediction = build(case)
    for has_region in (True, False):
        x0, state = _batch(has_region, dtype=torch.float64)
        wanted = _wanted(state)
        output = _least(partial(_errors, prediction, x0, state), x0)
        least = float(_errors(prediction, x0, state, output)[wanted].mean().detach())
        require(least < 1e-6, f"no network output has zero loss; the least found is {least:.3g}")
        require_close(
            _estimate(prediction, state, output)[wanted],
            x0[wanted],
            1e-3,
            "the denoiser's answer for the output of zero loss, and x0",
        )


@law(KIND)
def gradients_vanish_at_the_truth(case: Case) -> None:
    """Where the denoiser gives x0, the loss is zero and so are its gradients."""
    prediction = build(case)
    for has_region in (True, False):
        x0, state = _batch(has_region, dtype=torch.float64)

        def away(y: Tensor, x0: Tensor = x0, state: State = state) -> Tensor:
            return (_estimate(prediction, state, y) - x0).square()

        exact = _least(away, x0).requires_grad_()
        wanted = _wanted(state)
        errors = _errors(prediction, x0, state, exact)[wanted]
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
        x0, state = _batch(has_region, times=(0.0, 1e-6, 1.0))
        output = normal(*x0.shape, seed=9).requires_grad_()
        errors = _errors(prediction, x0, state, output)
        (gradient,) = torch.autograd.grad(errors.sum(), output)
        for name, value in (
            ("estimate", _estimate(prediction, state, output)),
            ("errors", errors),
            ("gradient", gradient),
        ):
            require_finite(value, f"{name} at t = 0, 1e-6 and 1")


@law(KIND)
def condition_has_its_channels(case: Case) -> None:
    """The network gets an input like x_t, the times, and ``condition_channels`` channels."""
    prediction = build(case)
    for has_region in (True, False):
        x0, state = _batch(has_region)

        def network(x: Tensor, t: Tensor, condition: Tensor | None, like: Tensor = x0) -> Tensor:
            require(x.shape == like.shape, f"the network's input is {tuple(x.shape)}")
            require(t.shape == (len(x),), f"the network's times are {tuple(t.shape)}, not (B,)")
            given = 0 if condition is None else condition.shape[1]
            require(
                given == prediction.condition_channels,
                f"the network gets {given} channels of condition; condition_channels says "
                f"{prediction.condition_channels}",
            )
            return x

        prediction.denoise(network, BRIDGE, state)
        prediction.errors(network, BRIDGE, x0, state)


@law(KIND)
def truth_is_hidden(case: Case) -> None:
    """In training, the input of the network depends on x0 only through x_t and x1."""
    prediction = build(case)
    truth, state = _batch(True)
    seen: list[list[Tensor]] = []

    def network(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        seen.append([x, t] if condition is None else [x, t, condition])
        return x

    for x0 in (truth, truth + 1):
        prediction.errors(network, BRIDGE, x0, state)
    same = all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    require(same, "`errors` shows x0 to the network, which `denoise` does not have")
