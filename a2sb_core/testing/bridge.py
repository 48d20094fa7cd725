"""Laws of bridges."""

from __future__ import annotations

import torch
from torch import Tensor

from a2sb_core.interfaces.bridge import START, Bridge
from a2sb_core.interfaces.types import Noise
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, normal

KIND = "bridge"
PAIRS = ((1.0, 0.9), (0.8, 0.3), (0.5, 0.49), (0.31, 0.02), (1.0, 0.0))
"""Times (t, s) of steps."""
NEAR_ENDS = (1e-9, 1e-6, 1e-3, 1 - 1e-3, 1 - 1e-6)


def build(case: Case) -> Bridge:
    """Make the component."""
    made: Bridge = case.config.build()
    return made


def _ends() -> tuple[Tensor, Tensor]:
    return normal(3, 2, 4, 5, seed=1), normal(3, 2, 4, 5, seed=2)


def _time(t: float) -> Tensor:
    return torch.tensor(t, dtype=torch.float64)


def calls(case: Case) -> list[Call]:
    """Uses of a bridge."""
    bridge = build(case)
    t, s = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([0.8, 0.4, 0.1])
    return [
        Call("marginal", bridge.marginal, (*_ends(), t)),
        Call("posterior", bridge.posterior, (*_ends(), t, s)),
        Call("coefficients", bridge.coefficients, (t,)),
        Call("sigma", bridge.sigma, (t,)),
        Call(
            "marginal at a double-precision time",
            lambda x0, x1: bridge.marginal(x0, x1, _time(0.7)),
            _ends(),
        ),
    ]


@law(KIND)
def ends_are_fixed(case: Case) -> None:
    """At t = 0 the bridge is at x0; at t = 1 nothing of x0 is left, and sampling starts there."""
    bridge = build(case)
    clean = torch.tensor((1.0, 0.0, 0.0)).double()
    found = torch.stack(bridge.coefficients(_time(0.0)))
    require_close(found, clean, 1e-6, "coefficients at 0 and (1, 0, 0)")
    a, b, c = bridge.coefficients(_time(1.0))
    require(abs(float(a)) < 1e-6, f"the coefficient of x0 at 1 is {float(a):g}, not 0")
    x1, noise = _ends()[1], Noise(1, 2, 4)
    drawn = noise.at(START, 3, 8).to(x1)
    require_close(
        bridge.start(x1, noise, 3),
        float(b) * x1 + float(c) * drawn,
        1e-5,
        "start, and the marginal at 1 with the noise of the place",
    )


@law(KIND)
def finite_near_the_ends(case: Case) -> None:
    """Near t = 0 and t = 1, all values are finite and no variance is negative."""
    bridge = build(case)
    x0, x1 = _ends()
    for value in NEAR_ENDS:
        for dtype in (torch.float32, torch.float64):
            t = torch.tensor(value, dtype=dtype)
            require_finite(torch.stack(bridge.coefficients(t)), f"coefficients at {value:g}")
            require_finite(bridge.sigma(t), f"sigma at {value:g}")
        t = _time(value)
        for name, one in (
            ("marginal", bridge.marginal(x0, x1, t)),
            ("posterior", bridge.posterior(x0, x1, t, t / 2)),
            ("posterior from 1", bridge.posterior(x0, x1, _time(1.0), t)),
        ):
            require_finite(one.mean, f"mean of the {name} at {value:g}")
            require_finite(one.variance, f"variance of the {name} at {value:g}")
            low = float(one.variance.min())
            require(low >= 0, f"variance of the {name} at {value:g} is {low:g}")


@law(KIND)
def steps_compose(case: Case) -> None:
    """A posterior step from the marginal at t gives the mean and the variance at s."""
    bridge = build(case)
    x0, x1 = (x.double() for x in _ends())
    for t, s in PAIRS:
        at_t, at_s = (bridge.marginal(x0, x1, _time(time)) for time in (t, s))
        step = bridge.posterior(x0, at_t.mean, _time(t), _time(s))
        require_close(
            step.mean,
            at_s.mean,
            1e-8,
            f"means of the marginal at {s:g}, and of the posterior at {s:g} given that at {t:g}",
        )
        # The posterior's mean is affine in x_t: its slope carries the variance over.
        slope = bridge.posterior(x0, at_t.mean + 1, _time(t), _time(s)).mean - step.mean
        require_close(
            (slope**2 * at_t.variance + step.variance).expand_as(x0),
            at_s.variance.expand_as(x0),
            1e-8,
            f"variances of the marginal at {s:g}, and of the posterior given that at {t:g}",
        )


@law(KIND)
def steps_of_no_length_and_to_the_end(case: Case) -> None:
    """The posterior at s = t is x_t, and at s = 0 it is x0, without noise."""
    bridge = build(case)
    x0, xt = (x.double() for x in _ends())
    for s, wanted in ((0.6, xt), (0.0, x0)):
        step = bridge.posterior(x0, xt, _time(0.6), _time(s))
        require_close(step.mean, wanted, 1e-8, f"mean of the posterior from 0.6 to {s:g}")
        rest = step.variance.expand_as(x0)
        require_close(rest, torch.zeros_like(x0), 1e-8, f"variance from 0.6 to {s:g} and 0")


@law(KIND)
def times_are_per_item(case: Case) -> None:
    """Items with different times give the same values as each of them alone."""
    bridge = build(case)
    x0, x1 = _ends()
    t, s = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([0.7, 0.1, 0.0])
    marginal, posterior = bridge.marginal(x0, x1, t), bridge.posterior(x0, x1, t, s)
    for i in range(3):
        one = bridge.marginal(x0[i], x1[i], t[i])
        require_close(marginal.mean[i], one.mean, 1e-6, f"marginal of item {i} and alone")
        one = bridge.posterior(x0[i], x1[i], t[i], s[i])
        require_close(posterior.mean[i], one.mean, 1e-6, f"posterior of item {i} and alone")


@law(KIND)
def sigma_grows(case: Case) -> None:
    """``sigma`` is 0 at 0 and grows with t."""
    sigma = build(case).sigma(torch.linspace(0, 1, 101, dtype=torch.float64))
    require(abs(float(sigma[0])) < 1e-6, f"sigma(0) is {float(sigma[0]):g}, not 0")
    require(bool((sigma.diff() >= 0).all()), "sigma falls somewhere between 0 and 1")


@law(KIND)
def defaults_agree(case: Case) -> None:
    """An overridden ``posterior`` or ``sigma`` agrees with the default made from (a, b, c).

    The default posterior takes b > 0, the default sigma a process without drift.
    """
    bridge, (x0, xt) = build(case), (x.double() for x in _ends())
    times = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    a, b, c = bridge.coefficients(times)
    if bool((b <= 0).any()):
        return
    for t, s in PAIRS:
        own = bridge.posterior(x0, xt, _time(t), _time(s))
        default = Bridge.posterior(bridge, x0, xt, _time(t), _time(s))
        what = f"from {t:g} to {s:g}, and that which (a, b, c) imply"
        require_close(own.mean, default.mean, 1e-8, f"mean of the posterior {what}")
        variance, implied = (one.variance.expand_as(x0) for one in (own, default))
        require_close(variance, implied, 1e-8, f"variance of the posterior {what}")
    scale = c**2 / (a * b)
    if bool(((a + b - 1).abs() < 1e-9).all()) and bool(((scale / scale[0] - 1).abs() < 1e-9).all()):
        own_sigma, default_sigma = bridge.sigma(times), Bridge.sigma(bridge, times)
        require_close(own_sigma, default_sigma, 1e-8, "sigma, and that which (a, b, c) imply")
