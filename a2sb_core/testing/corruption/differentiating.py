"""Laws of corruptions whose damage can be differentiated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from a2sb_core.interfaces.corruption import Corruption
from a2sb_core.interfaces.differentiable import Differentiable
from a2sb_core.testing.compare import require_close
from a2sb_core.testing.corruption.samples import (
    KIND,
    SAMPLES,
    build,
    channels_for,
    drawn,
    items_of_sizes,
    noise_for,
)
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, normal, sound

STEP = 1e-6
"""Length of the step of a difference quotient, in double precision."""
TOLERANCE = 1e-4
"""Relative tolerance: a sample that a clipper meets within the step counts half."""


@law(KIND)
def forward_has_an_adjoint(case: Case) -> None:
    """<J u, v> = <u, J^T v> for the difference quotient J u of ``forward`` and its gradient."""
    for corruption, parameters, wave in _trials(case):
        u, v = (normal(*wave.shape, seed=k).double() for k in (5, 6))

        after, before = (
            corruption.forward(wave + step * u, parameters, RATE) for step in (STEP, -STEP)
        )
        quotient, leaf = (after - before) / (2 * STEP), wave.clone().requires_grad_()
        damaged = corruption.forward(leaf, parameters, RATE)
        require(
            damaged.requires_grad,
            "`forward` returns a tensor without a gradient: keep to operations that autograd knows",
        )
        (gradient,) = torch.autograd.grad(damaged, leaf, v)
        forwards, backwards = (quotient * v).sum(), (u * gradient).sum()
        scale = float(quotient.norm() * v.norm())
        require(
            abs(float(forwards - backwards)) <= TOLERANCE * scale,
            f"with {parameters!r}, <J u, v> is {float(forwards):.6g} and <u, J^T v> is "
            f"{float(backwards):.6g}: the gradient of `forward` is not that of its values",
        )


@law(KIND)
def forward_is_the_damage(case: Case) -> None:
    """``forward`` does the damage of training; a mask removes nothing more the second time."""
    for corruption, parameters, wave in _trials(case):
        once = corruption.forward(wave.float(), parameters, RATE)
        what = f"with {parameters!r}, audio after `forward`"
        require(once.shape == wave.shape, f"{what} is {tuple(once.shape)}, not {tuple(wave.shape)}")
        for item in items_of_sizes(corruption):
            degraded = corruption.degrade(item, parameters, noise_for(item))
            if degraded.missing is None:
                found = item.representation.encode(corruption.forward(item.wave, parameters, RATE))
                require_close(found, degraded.x1, TOLERANCE, f"{what} and after `degrade`")
            else:
                twice = corruption.forward(once, parameters, RATE)
                require_close(twice, once, TOLERANCE, f"{what} once, and twice")


def _trials(case: Case) -> Iterator[tuple[Any, Any, Tensor]]:
    """Yield a differentiable corruption with parameters and audio (C, T) in double precision."""
    corruption: Corruption = build(case)
    if isinstance(corruption, Differentiable):
        for parameters in drawn(corruption, 3):
            yield corruption, parameters, sound(SAMPLES, channels_for(corruption)).double()
