import pytest
import torch
from task_helpers import plane

from a2sb_core.interfaces import ConfigError
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.predictions.condition import condition, condition_channels
from a2sb_tasks.predictions.paper import Paper
from a2sb_tasks.predictions.preconditioned import Preconditioned

BRIDGE = I2SB.Config().build()
SHAPE = (4, 3, 6, 5)
TIMES = torch.tensor([0.02, 0.4, 0.75, 1.0])
KINDS = pytest.mark.parametrize("config", [
    Paper.Config(tell="nothing"), Paper.Config(tell="missing"), Paper.Config(tell="known"),
    Preconditioned.Config(), Preconditioned.Config(residual=(1.0, 1.0, 1.0), fill_std=1.0),
    Preconditioned.Config(shrink=True),
], ids=["paper", "paper-missing", "paper-known", "preconditioned", "full", "shrunk"])
REGIONS = pytest.mark.parametrize("masked", [True, False], ids=["mask", "everything"])


def build(config):
    prediction = config.build(channels=3, rows=6)
    prediction.fit(0.4 + 0.3 * plane(8, 3, 6, 20, seed=7))
    return prediction


def situation(masked):
    """x0, x_t, x1 and the missing region of four items."""
    x0 = 0.4 + 0.3 * plane(*SHAPE)
    missing = plane(4, 1, 6, 5, seed=1) > 0 if masked else None
    noise = 0.5 * plane(*SHAPE, seed=2)
    x1 = torch.where(missing, noise, x0) if masked else x0 + noise
    xt = BRIDGE.marginal(x0, x1, TIMES).sample(plane(*SHAPE, seed=3))
    return x0, xt, x1, missing


def oracle_answer(prediction, x0, xt, x1, missing):
    """The answer with which a network makes the denoiser say x0: denoisers are affine in it."""
    def answer(value):
        return prediction.denoise(
            lambda x, t, c: torch.full_like(x, value), BRIDGE, xt, TIMES, x1, missing
        )

    return (x0 - answer(0.0)) / (answer(1.0) - answer(0.0))


@KINDS
@REGIONS
def test_a_network_that_denoises_to_x0_has_no_loss_and_no_gradient(config, masked):
    prediction = build(config)
    x0, xt, x1, missing = situation(masked)
    answer = oracle_answer(prediction, x0, xt, x1, missing).requires_grad_()
    denoised = prediction.denoise(lambda x, t, c: answer, BRIDGE, xt, TIMES, x1, missing)
    torch.testing.assert_close(denoised, x0, rtol=1e-4, atol=1e-5)
    errors = prediction.errors(lambda x, t, c: answer, BRIDGE, x0, xt, TIMES, x1, missing)
    assert errors.shape == SHAPE
    assert errors.max() < 1e-4
    errors.sum().backward()
    assert answer.grad.abs().max() < 0.05
    wrong = (answer.detach() + 1).requires_grad_()
    errors = prediction.errors(lambda x, t, c: wrong, BRIDGE, x0, xt, TIMES, x1, missing)
    errors.sum().backward()
    assert (wrong.grad > 1).all()
    assert (errors > 0.9).all()


@KINDS
@REGIONS
def test_the_answer_of_least_loss_denoises_to_x0(config, masked):
    """The loss is quadratic in the answer, so one Newton step from anywhere is the minimum."""
    prediction = build(config)
    x0, xt, x1, missing = situation(masked)

    def slope(at):
        answer = torch.full(SHAPE, at, requires_grad=True)
        errors = prediction.errors(lambda x, t, c: answer, BRIDGE, x0, xt, TIMES, x1, missing)
        return torch.autograd.grad(errors.sum(), answer)[0]

    best = -slope(0.0) / (slope(1.0) - slope(0.0))
    denoised = prediction.denoise(lambda x, t, c: best, BRIDGE, xt, TIMES, x1, missing)
    torch.testing.assert_close(denoised, x0, rtol=1e-3, atol=1e-4)


@KINDS
@REGIONS
def test_the_network_is_told_the_channels_it_was_promised(config, masked):
    prediction, told = build(config), []

    def network(x, t, c):
        told.append((x.shape, t.shape, 0 if c is None else c.shape[1]))
        assert c is None or c.shape == (4, c.shape[1], 6, 5)
        assert c is None or c.dtype == x.dtype
        return torch.zeros_like(x)

    x0, xt, x1, missing = situation(masked)
    prediction.denoiser(network, BRIDGE)(xt, TIMES, x1, missing)
    prediction.errors(network, BRIDGE, x0, xt, TIMES, x1, missing)
    assert told == [(SHAPE, (4,), prediction.condition_channels)] * 2


@KINDS
def test_everything_is_finite_at_both_ends_of_time(config):
    prediction = build(config)
    x0, xt, x1, missing = situation(masked=True)
    for t in (torch.zeros(4), torch.full((4,), 1e-7), torch.ones(4)):
        errors = prediction.errors(lambda x, t, c: x, BRIDGE, x0, xt, t, x1, missing)
        denoised = prediction.denoise(lambda x, t, c: x, BRIDGE, xt, t, x1, missing)
        assert torch.isfinite(errors).all()
        assert torch.isfinite(denoised).all()


def test_paper_predicts_the_scaled_difference():
    x0, xt, x1, missing = situation(masked=True)
    prediction = build(Paper.Config())
    sigma = BRIDGE.sigma(TIMES)[:, None, None, None]
    denoised = prediction.denoise(lambda x, t, c: 0 * x + 2, BRIDGE, xt, TIMES, x1, missing)
    torch.testing.assert_close(denoised, xt - 2 * sigma)
    errors = prediction.errors(lambda x, t, c: 0 * x + 2, BRIDGE, x0, xt, TIMES, x1, missing)
    torch.testing.assert_close(errors, (2 - (xt - x0) / sigma) ** 2)


def test_paper_shows_the_network_x_t_itself():
    _, xt, x1, missing = situation(masked=True)
    seen = []
    build(Paper.Config()).denoise(
        lambda x, t, c: seen.append((x, t)) or x, BRIDGE, xt, TIMES, x1, missing
    )
    assert torch.equal(seen[0][0], xt)
    assert torch.equal(seen[0][1], TIMES)


def test_condition_tells_the_region_and_what_is_known():
    _, _, x1, missing = situation(masked=True)
    assert condition("nothing", x1, missing) is None
    assert torch.equal(condition("missing", x1, missing), missing.float())
    known = condition("known", x1, missing)
    assert torch.equal(known[:, :1], missing.float())
    assert torch.equal(known[:, 1:], torch.where(missing, 0, x1))
    one_for_all = condition("missing", x1, missing[:1, :, :1])
    assert torch.equal(one_for_all, missing[:1, :, :1].float().expand(4, 1, 6, 5))
    assert [condition_channels(tell, 3) for tell in ("nothing", "missing", "known")] == [0, 1, 4]


def test_condition_where_everything_may_change_is_all_of_it():
    x1 = plane(*SHAPE)
    assert torch.equal(condition("missing", x1, None), torch.ones(4, 1, 6, 5))
    assert torch.equal(condition("known", x1, None)[:, 1:], x1)


def test_preconditioned_is_the_formula_by_hand():
    x0, xt, x1, missing = situation(masked=True)
    prediction = build(Preconditioned.Config(
        fill_std=0.7, residual=(0.2, 0.9, 1.0), weights=(4.0, 2.0, 1.0)
    ))
    mean, spread = prediction.mean, prediction.spread
    residual, weights = (torch.tensor(v)[:, None, None] for v in ((0.2, 0.9, 1.0), (4.0, 2.0, 1.0)))
    a, b, c = (value[:, None, None, None] for value in BRIDGE.coefficients(TIMES))
    noise = ((0.7 * b) ** 2 + c**2).sqrt()
    sd = spread * residual
    v = (a * sd) ** 2 + noise**2
    scale = noise * sd / v.sqrt()
    skip = mean + a * sd**2 / v * (xt - a * mean)
    seen = []
    denoised = prediction.denoise(
        lambda x, t, c: seen.append(x) or 0 * x + 0.5, BRIDGE, xt, TIMES, x1, missing
    )
    torch.testing.assert_close(denoised, skip + 0.5 * scale)
    unknown = (xt - a * mean) / ((a * spread) ** 2 + noise**2).sqrt()
    torch.testing.assert_close(seen[0], torch.where(missing, unknown, (x1 - mean) / spread))
    errors = prediction.errors(lambda x, t, c: 0 * x + 0.5, BRIDGE, x0, xt, TIMES, x1, missing)
    expected = weights * (0.5 - (x0 - skip) / scale) ** 2
    torch.testing.assert_close(errors, expected, rtol=1e-3, atol=1e-4)


def test_a_shrunk_input_is_scaled_by_its_correlation_with_x0():
    _, xt, x1, missing = situation(masked=True)
    seen = []
    for shrink in (False, True):
        build(Preconditioned.Config(shrink=shrink)).denoise(
            lambda x, t, c: seen.append(x) or x, BRIDGE, xt, TIMES, x1, missing
        )
    spread = build(Preconditioned.Config()).spread
    a, b, c = (value[:, None, None, None] for value in BRIDGE.coefficients(TIMES))
    correlation = a * spread / ((a * spread) ** 2 + (0.5 * b) ** 2 + c**2).sqrt()
    expected = torch.where(missing, seen[0] * correlation, seen[0])
    torch.testing.assert_close(seen[1], expected)
    assert not seen[1][3][missing[3].expand(3, 6, 5)].any()


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
    seen = []
    errors = prediction.errors(
        lambda x, t, c: seen.append(x) or torch.zeros_like(x), BRIDGE, x0, xt, times, x1, missing
    )
    inputs = seen[0].movedim(1, 0).flatten(3).movedim(2, 1)
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


@pytest.mark.parametrize(("channels", "residual", "weights"), [
    (3, (0.2, 1.0, 1.0), (4.0, 1.0, 1.0)), (2, (1.0, 1.0), (1.0, 1.0)), (1, (1.0,), (1.0,)),
])
def test_preconditioned_has_defaults_for_every_representation(channels, residual, weights):
    prediction = Preconditioned.Config(huber=(2.0,)).build(channels=channels, rows=6)
    assert (prediction.residual, prediction.weights) == (residual, weights)
    assert prediction.huber == (2.0,) * channels


def test_statistics_of_high_rows_are_averaged_over_their_neighbours():
    values = torch.randn(8, 1, 1000, 16, generator=torch.Generator().manual_seed(0))
    prediction = Preconditioned.Config(residual=(1.0,), weights=(1.0,)).build(
        channels=1, rows=1000
    )
    prediction.fit(values)
    rows = values[:, 0, 855:946]  # within 5 % of row 900
    torch.testing.assert_close(prediction.mean[0, 900, 0], rows.mean(), rtol=0, atol=2e-3)
    assert float(prediction.mean[0, 500:].std()) < 0.3 * float(values.mean(dim=(0, 1, 3)).std())


def test_shrinking_hides_what_says_nothing_of_the_clean_content():
    seen = []

    def network(x, t, condition):
        seen.append(x)
        return torch.zeros_like(x)

    bridge = I2SB.Config().build()
    prediction = Preconditioned.Config(shrink=True).build(channels=3, rows=8)
    x = torch.randn(2, 3, 8, 4, generator=torch.Generator().manual_seed(0))
    missing = torch.ones(2, 1, 8, 4, dtype=torch.bool)
    prediction.denoise(network, bridge, x, torch.ones(2), x, missing)
    assert float(seen[0].abs().max()) < 1e-6
    prediction.denoise(network, bridge, x, torch.full((2,), 1e-4), x, missing)
    torch.testing.assert_close(seen[1], x, rtol=1e-3, atol=1e-3)
