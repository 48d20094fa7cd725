"""Laws of losses."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from a2sb_core.interfaces.loss import Loss, TrainingEstimate
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, Spectra, music, normal, region

KIND = "loss"
SECONDS = 0.75
SIZE = 512
"""Samples of a frame of the representation."""
LEVELS = (0.1, 1.0)
"""Noise of the estimates that are compared, relative to the clean items."""


def build(case: Case) -> Loss:
    """Build the component."""
    torch.manual_seed(0)
    made: Loss = case.config.build()
    return made


def _trial(level: float, wave: Tensor | None = None) -> TrainingEstimate:
    """Return clean items, and an estimate with noise of a level where content counts."""
    representation = Spectra(Spectra.Config(size=SIZE))
    x0 = representation.encode(music(SECONDS) if wave is None else wave)
    counted = region(len(x0), *x0.shape[2:])
    scale = x0.square().mean().sqrt()
    estimate = x0 + torch.where(counted, level * scale * normal(*x0.shape, seed=1), 0)
    return TrainingEstimate(estimate, x0, (estimate - x0).square(), counted, representation)


def _of_items(trial: TrainingEstimate, places: slice) -> TrainingEstimate:
    names = ("estimate", "x0", "errors", "counted")
    return replace(trial, **{name: getattr(trial, name)[places] for name in names})


def calls(case: Case) -> list[Call]:
    """Uses of a loss."""
    loss = build(case)
    return [Call("forward", lambda wave: loss(_trial(LEVELS[0], wave)), (music(SECONDS),), False)]


@law(KIND)
def a_loss_is_finite_for_each_item(case: Case) -> None:
    """It returns a finite value for each item, also for silence and where nothing counts."""
    loss, trial = build(case), _trial(LEVELS[0])
    nothing = replace(trial, counted=torch.zeros_like(trial.counted))
    for name, one in (
        ("music", trial),
        ("silence", _trial(LEVELS[0], torch.zeros_like(music(SECONDS)))),
        ("items of which nothing counts", nothing),
    ):
        value = loss(one)
        require(
            value.shape == (len(one.x0),),
            f"the loss of {name} has the shape {tuple(value.shape)}, not one value for each item",
        )
        require_finite(value, f"the loss of {name}")


@law(KIND)
def a_better_estimate_costs_less(case: Case) -> None:
    """The clean items cost no more than an estimate with noise.

    A loss with parameters must learn first, so that only its value is checked.
    """
    loss = build(case)
    if any(True for _ in loss.parameters()):
        return
    best, little, much = (float(loss(_trial(level)).mean()) for level in (0.0, *LEVELS))
    require(
        best <= little < much,
        f"the clean items cost {best:g}, with noise {little:g}, with more noise {much:g}",
    )


@law(KIND)
def the_gradient_reaches_the_estimate(case: Case) -> None:
    """The gradient by the estimate or the errors is finite and not zero."""
    loss, trial = build(case), _trial(LEVELS[1])
    inputs = [trial.estimate.clone().requires_grad_(), trial.errors.clone().requires_grad_()]
    value = loss(replace(trial, estimate=inputs[0], errors=inputs[1])).sum()
    grads = torch.autograd.grad(value, inputs, allow_unused=True)
    found = [grad for grad in grads if grad is not None]
    for grad in found:
        require_finite(grad, "the gradient")
    require(
        any(bool(grad.any()) for grad in found),
        "the loss has no gradient: neither by the estimate nor by the errors",
    )


@law(KIND)
def items_do_not_see_one_another(case: Case) -> None:
    """The loss of an item is that of the item alone."""
    loss, trial = build(case), _trial(LEVELS[0])
    alone = torch.cat([loss(_of_items(trial, slice(i, i + 1))) for i in range(len(trial.x0))])
    require_close(alone, loss(trial), 1e-4, "the loss of items alone and together")


@law(KIND)
def learning_lowers_its_own_loss(case: Case) -> None:
    """``learn`` is None without parameters; with them, steps along its gradient lower it."""
    loss, trial = build(case), _trial(LEVELS[1])
    parameters = list(loss.parameters())
    first = loss.learn(trial)
    require(
        (first is None) == (not parameters),
        "`learn` must return a loss if and only if there are parameters",
    )
    if first is None:
        return
    optimizer = torch.optim.AdamW(parameters, 1e-3)
    begin = float(first.detach())
    for _ in range(10):
        value = loss.learn(trial)
        assert value is not None
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    last = loss.learn(trial)
    assert last is not None
    require(
        float(last.detach()) < begin,
        f"ten steps did not lower the loss of the parameters from {begin:g}",
    )
