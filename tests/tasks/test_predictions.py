from dataclasses import replace

import pytest
import torch
from task_helpers import plane

from a2sb_core.interfaces import ConfigError, State
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.predictions.condition import condition, condition_channels
from a2sb_tasks.predictions.paper import Paper
from a2sb_tasks.predictions.preconditioned import Preconditioned

BRIDGE = I2SB.Config().build()
SHAPE = (4, 3, 6, 5)
TIMES = torch.tensor([0.02, 0.4, 0.75, 1.0])


def build(config):
    prediction = config.build(channels=3, rows=6)
    prediction.fit(0.4 + 0.3 * plane(8, 3, 6, 20, seed=7))
    return prediction


def situation():
    """x0 and the states of four items."""
    x0, missing = 0.4 + 0.3 * plane(*SHAPE), plane(4, 1, 6, 5, seed=1) > 0
    x1 = torch.where(missing, 0.5 * plane(*SHAPE, seed=2), x0)
    xt = BRIDGE.marginal(x0, x1, TIMES).sample(plane(*SHAPE, seed=3))
    return x0, State(xt, TIMES, x1, missing)


class Answers:
    """A network that gives one answer everywhere, and keeps what it is shown."""

    def __init__(self, answer=0.0):
        self.answer, self.seen = answer, []

    def __call__(self, x, t, condition):
        self.seen.append((x, t))
        return torch.full_like(x, self.answer)


def test_paper_predicts_the_scaled_difference():
    x0, state = situation()
    prediction, network = build(Paper.Config()), Answers(2.0)
    sigma = BRIDGE.sigma(TIMES)[:, None, None, None]
    denoised = prediction.denoise(network, BRIDGE, state)
    torch.testing.assert_close(denoised, state.xt - 2 * sigma)
    errors = prediction.errors(network, BRIDGE, x0, state)
    torch.testing.assert_close(errors, (2 - (state.xt - x0) / sigma) ** 2)
    for x, t in network.seen:  # x_t itself
        assert torch.equal(x, state.xt)
        assert torch.equal(t, TIMES)


def test_condition_tells_the_region_and_what_is_known():
    _, state = situation()
    x1, missing = state.x1, state.missing
    assert condition("nothing", state) is None
    assert torch.equal(condition("missing", state), missing.float())
    known = condition("known", state)
    assert torch.equal(known[:, :1], missing.float())
    assert torch.equal(known[:, 1:], torch.where(missing, 0, x1))
    one_for_all = condition("missing", replace(state, missing=missing[:1, :, :1]))
    assert torch.equal(one_for_all, missing[:1, :, :1].float().expand(4, 1, 6, 5))
    assert [condition_channels(tell, 3) for tell in ("nothing", "missing", "known")] == [0, 1, 4]
    everything = replace(state, missing=None)
    assert torch.equal(condition("missing", everything), torch.ones(4, 1, 6, 5))
    assert torch.equal(condition("known", everything)[:, 1:], x1)


def test_preconditioned_is_the_formula_by_hand():
    x0, state = situation()
    xt, x1, missing = state.xt, state.x1, state.missing
    prediction = build(
        Preconditioned.Config(fill_std=0.7, residual=(0.2, 0.9, 1.0), weights=(4.0, 2.0, 1.0))
    )
    mean, spread = prediction.mean, prediction.spread
    residual, weights = (torch.tensor(v)[:, None, None] for v in ((0.2, 0.9, 1.0), (4.0, 2.0, 1.0)))
    a, b, c = (value[:, None, None, None] for value in BRIDGE.coefficients(TIMES))
    noise = ((0.7 * b) ** 2 + c**2).sqrt()
    sd = spread * residual
    v = (a * sd) ** 2 + noise**2
    scale = noise * sd / v.sqrt()
    skip = mean + a * sd**2 / v * (xt - a * mean)
    network = Answers(0.5)
    denoised = prediction.denoise(network, BRIDGE, state)
    torch.testing.assert_close(denoised, skip + 0.5 * scale)
    unknown = (xt - a * mean) / ((a * spread) ** 2 + noise**2).sqrt()
    inputs = torch.where(missing, unknown, (x1 - mean) / spread)
    torch.testing.assert_close(network.seen[0][0], inputs)
    errors = prediction.errors(network, BRIDGE, x0, state)
    expected = weights * (0.5 - (x0 - skip) / scale) ** 2
    torch.testing.assert_close(errors, expected, rtol=1e-3, atol=1e-4)


def test_a_shrunk_input_is_scaled_by_its_correlation_with_x0():
    (_, state), network = situation(), Answers()
    for shrink in (False, True):
        build(Preconditioned.Config(shrink=shrink)).denoise(network, BRIDGE, state)
    (plain, _), (shrunk, _) = network.seen
    spread = build(Preconditioned.Config()).spread
    a, b, c = (value[:, None, None, None] for value in BRIDGE.coefficients(TIMES))
    correlation = a * spread / ((a * spread) ** 2 + (0.5 * b) ** 2 + c**2).sqrt()
    torch.testing.assert_close(shrunk, torch.where(state.missing, plain * correlation, plain))
    assert not shrunk[3][state.missing[3].expand(3, 6, 5)].any()


@pytest.mark.parametrize("t", [0.2, 0.6, 1.0])
def test_preconditioned_input_and_target_have_unit_variance(t):
    """For data with the statistics that were fitted, where content is missing."""
    generator = torch.Generator().manual_seed(0)
    level, spread = torch.linspace(-1, 1, 6)[:, None], torch.linspace(0.1, 2, 6)[:, None]
    x0 = level + spread * torch.randn(16, 3, 6, 400, generator=generator)
    prediction = Preconditioned.Config(residual=(1.0, 1.0, 1.0)).build(channels=3, rows=6)
    prediction.fit(x0)
    x1 = 0.5 * torch.randn(x0.shape, generator=generator)
    times = torch.full((16,), t)
    xt = BRIDGE.marginal(x0, x1, times).sample(torch.randn(x0.shape, generator=generator))
    missing = torch.ones(16, 1, 6, 400, dtype=torch.bool)
    network = Answers()
    errors = prediction.errors(network, BRIDGE, x0, State(xt, times, x1, missing))
    inputs = network.seen[0][0].movedim(1, 0).flatten(3).movedim(2, 1)
    assert inputs.std(dim=(2, 3)).sub(1).abs().max() < 0.05
    assert inputs.mean(dim=(2, 3)).abs().max() < 0.05
    target_power = errors.mean(dim=(0, 3)) / torch.tensor([4.0, 1.0, 1.0])[:, None]
    assert target_power.sub(1).abs().max() < 0.1


def test_fit_takes_mean_and_spread_of_each_channel_and_row():
    x0 = plane(10, 3, 6, 30) * torch.linspace(1, 3, 6)[:, None] + torch.arange(3)[:, None, None]
    x0[:, 1, 2] = 5.0
    prediction = Preconditioned.Config().build(channels=3, rows=6)
    assert not prediction.mean.any()
    assert (prediction.spread == 1).all()
    prediction.fit(x0)
    values = x0.movedim(0, 2).flatten(2)
    torch.testing.assert_close(prediction.mean[..., 0], values.mean(dim=2), rtol=1e-5, atol=1e-5)
    expected = values.std(dim=2, correction=0)
    expected[1, 2] = prediction.SMALLEST_SPREAD
    torch.testing.assert_close(prediction.spread[..., 0], expected, rtol=1e-4, atol=1e-5)
    assert set(prediction.state_dict()) == {"mean", "spread"}


@pytest.mark.parametrize("values", [{"residual": (0.5, 1.0)}, {"weights": (1.0,) * 4}])
def test_preconditioned_refuses_values_for_another_number_of_channels(values):
    with pytest.raises(ConfigError, match=rf"{next(iter(values))}.*3"):
        Preconditioned.Config(**values).build(channels=3, rows=6)


@pytest.mark.parametrize(
    ("channels", "residual", "weights"),
    [(3, (0.2, 1.0, 1.0), (4.0, 1.0, 1.0)), (2, (1.0, 1.0), (1.0, 1.0)), (1, (1.0,), (1.0,))],
)
def test_preconditioned_has_defaults_for_every_representation(channels, residual, weights):
    prediction = Preconditioned.Config(huber=(2.0,)).build(channels=channels, rows=6)
    assert (prediction.residual, prediction.weights) == (residual, weights)
    assert prediction.huber == (2.0,) * channels


def test_statistics_of_high_rows_are_averaged_over_their_neighbours():
    values = torch.randn(8, 1, 1000, 16, generator=torch.Generator().manual_seed(0))
    prediction = Preconditioned.Config(residual=(1.0,), weights=(1.0,)).build(channels=1, rows=1000)
    prediction.fit(values)
    rows = values[:, 0, 855:946]  # within 5 % of row 900
    torch.testing.assert_close(prediction.mean[0, 900, 0], rows.mean(), rtol=0, atol=2e-3)
    assert float(prediction.mean[0, 500:].std()) < 0.3 * float(values.mean(dim=(0, 1, 3)).std())


def test_shrinking_hides_what_says_nothing_of_the_clean_content():
    prediction = Preconditioned.Config(shrink=True).build(channels=3, rows=8)
    network, x = Answers(), plane(2, 3, 8, 4)
    state = State(x, torch.ones(2), x, torch.ones(2, 1, 8, 4, dtype=torch.bool))
    for t in (torch.ones(2), torch.full((2,), 1e-4)):
        prediction.denoise(network, BRIDGE, replace(state, t=t))
    (hidden, _), (shown, _) = network.seen
    assert float(hidden.abs().max()) < 1e-6
    torch.testing.assert_close(shown, x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("around", ["mean", "degraded", "frames"])
def test_a_network_that_corrects_nothing_leaves_the_prior(around):
    config = Preconditioned.Config(tell="degraded", around=around)
    prediction = config.build(channels=3, rows=8)
    prediction.mean.copy_(torch.randn(3, 8, 1))
    missing = torch.zeros(1, 1, 8, 6, dtype=torch.bool)
    missing[:, :, 5:], missing[..., 2:4] = True, True
    x1 = torch.randn(2, 3, 8, 6)
    state = State(x1, torch.ones(2), x1, missing)
    found = prediction.denoise(lambda x, t, condition: 0 * x, I2SB.Config().build(), state)
    is_guessed = torch.zeros(6, dtype=torch.bool)
    is_guessed[2:4] = True
    guessed = {"mean": ~is_guessed & is_guessed, "degraded": is_guessed | ~is_guessed}
    expected = torch.where(guessed.get(around, is_guessed), x1, prediction.mean)
    inside = missing.expand_as(x1)
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-3, rtol=1e-3)
