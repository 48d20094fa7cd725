import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import Counting, plane

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import Degraded, Noise, per_item
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.samplers.ancestral import ODE, Ancestral
from a2sb_tasks.samplers.implicit import Implicit
from a2sb_tasks.samplers.multidiffusion import MultiDiffusion

BRIDGE = I2SB.Config().build()
SHAPE = (2, 3, 4, 45)


def around(inner):
    return MultiDiffusion.Config(inner=inner, window=16, hop=8, batch=3)


INNER = [Ancestral.Config(steps=4), ODE.Config(steps=4), Implicit.Config(steps=4)]
EACH = pytest.mark.parametrize(
    "config",
    [*INNER, *map(around, INNER)],
    ids=[f"{place}{config.name}" for place in ("", "windowed-") for config in INNER],
)


def region():
    missing = plane(2, 1, 4, 45, seed=5) > 0
    missing[..., 30:] = False
    return missing


def run(config, denoiser, x1, missing, seed=0):
    noise = Noise(seed, x1.shape[1], x1.shape[2])
    return config.build().sample(denoiser, BRIDGE, Degraded(x1, missing), noise)


def wrong(state):
    """A denoiser whose answers contradict each other, frame by frame."""
    return 0.5 * torch.sin(3 * state.xt) + per_item(state.t, state.xt) * state.x1


@EACH
def test_a_region_given_once_serves_all_items(config):
    x1, missing = plane(*SHAPE), region()[:1]
    restored = run(config, wrong, x1, missing)
    assert torch.equal(restored, run(config, wrong, x1, missing.expand(2, 1, 4, 45)))


@EACH
def test_the_seed_matters_where_noise_is_drawn(config):
    x1, missing = plane(*SHAPE), region()
    first, other = (run(config, wrong, x1, missing, seed=seed) for seed in (3, 4))
    if "ode" in (config.name, getattr(config, "inner", config).name):
        assert torch.equal(first, other)
    else:
        assert not torch.allclose(first, other, atol=1e-3)


@EACH
def test_items_share_their_noise(config):
    x1, missing = plane(1, 3, 4, 45), region()[:1]
    mono = run(config, wrong, x1, missing)
    stereo = run(config, wrong, x1.expand(SHAPE), missing.expand(2, 1, 4, 45))
    torch.testing.assert_close(stereo, mono.expand(SHAPE), rtol=1e-6, atol=1e-6)


@EACH
def test_with_steps_takes_another_number_and_leaves_the_sampler(config):
    sampler, counting = config.build(), Counting(torch.zeros(1))
    degraded, noise = Degraded(plane(*SHAPE), None), Noise(0, 3, 4)
    sampler.with_steps(2).sample(counting, BRIDGE, degraded, noise)
    assert sorted(set(counting.times), reverse=True) == [1.0, 0.5]
    sampler.sample(counting, BRIDGE, degraded, noise)
    assert len(set(counting.times)) == 4


def test_times_run_from_one_to_zero():
    assert ODE.Config(steps=4).build().times().tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert ODE.Config(steps=1).build().times().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_times_with_an_end_stop_there_and_close_with_zero(steps):
    times = ODE.Config(steps=steps, t_end=0.05).build().times()
    assert times.dtype == torch.float64
    assert len(times) == steps + 1
    assert times[0] == 1
    assert times[-1] == 0
    if steps > 1:
        assert times[-2] == pytest.approx(0.05)
        torch.testing.assert_close(times[:-2].diff(), times[1:-1].diff()[:1].expand(steps - 2))


@pytest.mark.parametrize("spacing", ["uniform", "cosine"])
def test_times_without_the_endpoint_are_those_of_one_more_without_the_last(spacing):
    more = ODE.Config(steps=100, t_end=0.05, spacing=spacing).build().times()
    times = ODE.Config(steps=99, t_end=0.05, spacing=spacing, endpoint=False).build().times()
    torch.testing.assert_close(times, torch.cat([more[:99], more[-1:]]), rtol=0, atol=1e-15)
    if spacing == "uniform":
        assert float(times[-2]) == pytest.approx(0.05 + 0.95 / 99)  # 0.0596


class Recorder:
    """A denoiser that says ``answers`` one after another, and keeps each x_t it was shown."""

    def __init__(self, answers):
        self.answers, self.seen = iter(answers), []

    def __call__(self, state):
        self.seen.append(state.xt)
        return torch.full_like(state.xt, next(self.answers))


def by_hand(t):
    """a, b, c of (9) with the integral of the schedule written out, t in float."""

    def forward(t):
        return t**3 / 3 if t <= 0.5 else 1 / 12 - (1 - t) ** 3 / 3

    s, sbar = forward(t), forward(1 - t)
    return sbar * 12, s * 12, (s * sbar * 12) ** 0.5


def test_ancestral_is_equation_19_by_hand():
    x1, recorder = plane(1, 3, 4, 5), Recorder([0.3, -0.7, 2.0])
    run(Ancestral.Config(steps=3), recorder, x1, None, seed=8)
    x, answers, noise = x1, [0.3, -0.7], Noise(8, 3, 4)
    for i in (1, 2):
        t, s = 1 - (i - 1) / 3, 1 - i / 3
        at_t, at_s = by_hand(t)[1] / 12, by_hand(s)[1] / 12
        std = ((at_t - at_s) * at_s / at_t) ** 0.5
        x = ((at_t - at_s) * answers[i - 1] + at_s * x) / at_t + std * noise.at(i, 0, 5)
        torch.testing.assert_close(recorder.seen[i], x, rtol=1e-4, atol=1e-5)


def test_ode_is_the_mean_of_equation_19_by_hand():
    x1, recorder = plane(1, 3, 4, 5), Recorder([0.3, -0.7, 2.0])
    run(ODE.Config(steps=3), recorder, x1, None)
    x = x1
    for i, answer in ((1, 0.3), (2, -0.7)):
        at_t, at_s = by_hand(1 - (i - 1) / 3)[1], by_hand(1 - i / 3)[1]
        x = ((at_t - at_s) * answer + at_s * x) / at_t
        torch.testing.assert_close(recorder.seen[i], x, rtol=1e-4, atol=1e-5)


def test_implicit_carries_one_noise_all_the_way():
    x1, recorder = plane(1, 3, 4, 5), Recorder([0.3] * 4)
    run(Implicit.Config(steps=4), recorder, x1, None, seed=8)
    noise = Noise(8, 3, 4).at(1, 0, 5)
    for i in (1, 2, 3):
        a, b, c = by_hand(1 - i / 4)
        expected = a * 0.3 + b * x1 + c * noise
        torch.testing.assert_close(recorder.seen[i], expected, rtol=1e-4, atol=1e-5)


def test_implicit_noise_takes_up_a_change_of_mind():
    x1, recorder = plane(1, 3, 4, 5), Recorder([0.3, -0.7, 2.0])
    run(Implicit.Config(steps=3), recorder, x1, None, seed=8)
    a, b, c = by_hand(2 / 3)
    implied = Noise(8, 3, 4).at(1, 0, 5) + a * (0.3 + 0.7) / c
    a, b, c = by_hand(1 / 3)
    expected = a * -0.7 + b * x1 + c * implied
    torch.testing.assert_close(recorder.seen[2], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", INNER, ids=lambda config: config.name)
def test_many_steps_stay_finite(config):
    config = config.model_copy(update={"steps": 1500})
    restored = run(config, Counting(torch.zeros(1) + 0.25), plane(1, 1, 2, 3), None)
    assert torch.equal(restored, torch.full((1, 1, 2, 3), 0.25))


def gaussian(state):
    """E[x0 | x_t, x1] of x0 that is normal, of deviation 0.7, whatever x1."""
    a, b, c = (per_item(value, state.xt) for value in BRIDGE.coefficients(state.t.double()))
    return a * 0.49 * (state.xt - b * state.x1) / (a**2 * 0.49 + c**2).clamp(min=1e-30)


@given(steps=st.integers(1, 6), denoiser=st.sampled_from([wrong, gaussian]), seed=st.integers(0, 9))
def test_all_of_the_fresh_noise_is_the_ancestral_sampler(steps, denoiser, seed):
    x1, missing = plane(*SHAPE), region()
    ancestral = run(Ancestral.Config(steps=steps), denoiser, x1, missing, seed=seed)
    implicit = run(Implicit.Config(steps=steps, eta=1), denoiser, x1, missing, seed=seed)
    torch.testing.assert_close(implicit, ancestral, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.8])
def test_states_have_the_marginal_of_the_bridge_for_any_share_of_fresh_noise(eta):
    x1, recorder = plane(1, 3, 64, 400), Recorder([0.3] * 4)
    run(Implicit.Config(steps=4, eta=eta), recorder, x1, None)
    for i in (1, 2, 3):
        a, b, c = by_hand(1 - i / 4)
        residue = recorder.seen[i] - a * 0.3 - b * x1
        assert float(residue.mean()) == pytest.approx(0, abs=0.02 * c)
        assert float(residue.std()) == pytest.approx(c, rel=0.02)


def test_the_second_order_is_nearer_to_the_path():
    """With so many steps the path is known; halving the steps quarters the error, not halves it."""
    x1 = plane(1, 3, 4, 50).double()
    path = run(Implicit.Config(steps=3000), gaussian, x1, None)

    def error(steps, order):
        config = Implicit.Config(steps=steps, order=order)
        return float((run(config, gaussian, x1, None) - path).norm())

    assert error(20, 2) < 0.3 * error(20, 1)
    assert error(40, 2) < 0.4 * error(20, 2)
    assert error(40, 1) > 0.4 * error(20, 1)


def test_the_second_order_is_exact_where_the_estimate_is_a_line_over_lambda():
    """d(x/c) = x1 d(b/c) + x0 d(a/c), integrated by hand with fine steps of lambda."""

    def line(t):
        a, _, c = by_hand(t)
        return 0.2 * math.log(a / c) if c else 0.0

    times = [1 - i / 5 for i in range(5)]
    x1, recorder = plane(1, 1, 2, 3).double(), Recorder([line(t) for t in times])
    run(Implicit.Config(steps=5, order=2), recorder, x1, None)
    for i in (2, 3):  # the slope is known from the third evaluation on
        (at, bt, ct), (a, b, c) = by_hand(times[i]), by_hand(times[i + 1])
        fine = torch.linspace(math.log(at / ct), math.log(a / c), 200_001, dtype=torch.float64)
        integral = torch.trapezoid(0.2 * fine * fine.exp(), fine)
        expected = c * (recorder.seen[i] / ct + x1 * (b / c - bt / ct) + integral)
        torch.testing.assert_close(recorder.seen[i + 1], expected, rtol=1e-6, atol=1e-6)


def test_the_second_order_has_no_fresh_noise():
    with pytest.raises(ConfigError, match="eta 0"):
        Implicit.Config(order=2, eta=0.5)


def test_times_of_other_spacings():
    cosine = ODE.Config(steps=4, spacing="cosine").build().times()
    quadratic = ODE.Config(steps=4, spacing="quadratic").build().times()
    assert quadratic.tolist() == [1.0, 0.5625, 0.25, 0.0625, 0.0]
    torch.testing.assert_close(cosine + cosine.flip(0), torch.ones(5, dtype=torch.float64))
    ended = ODE.Config(steps=7, spacing="cosine", t_end=0.02).build().times()
    for times in (cosine, quadratic, ended):
        assert (times[0], times[-1]) == (1, 0)
        assert (times.diff() < 0).all()
