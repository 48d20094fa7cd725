import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import plane

from a2sb_tasks.bridges.i2sb import I2SB

TIMES = st.floats(0, 1, allow_subnormal=False)


def scalar(t):
    return torch.tensor(t, dtype=torch.float64)


def test_marginal_equals_the_published_system(golden):
    numbers, bridge = golden("bridge"), I2SB.Config().build()
    t = numbers["t"]
    a, b, c = bridge.coefficients(t)
    torch.testing.assert_close(bridge.sigma(t), numbers["sigma_fwd"], rtol=1e-5, atol=0)
    torch.testing.assert_close(bridge.sigma(1 - t), numbers["sigma_rev"], rtol=1e-5, atol=0)
    torch.testing.assert_close(a, numbers["coef_x0"], rtol=1e-5, atol=0)
    torch.testing.assert_close(b, numbers["coef_x1"], rtol=1e-5, atol=0)
    torch.testing.assert_close(c**2, numbers["var"], rtol=1e-5, atol=0)


def test_posterior_equals_the_published_system(golden):
    numbers, bridge = golden("bridge"), I2SB.Config().build()
    t, s = scalar(0.8), scalar(0.7)
    posterior = bridge.posterior(numbers["x0"], numbers["xt"], t, s)
    torch.testing.assert_close(
        posterior.mean, numbers["posterior_mean_t08_s07"], rtol=1e-4, atol=2e-6
    )
    torch.testing.assert_close(
        posterior.variance.reshape(1), numbers["posterior_var"], rtol=1e-4, atol=0
    )
    ones = torch.ones(1)
    of_x0 = bridge.posterior(ones, 0 * ones, t, s).mean
    of_xt = bridge.posterior(0 * ones, ones, t, s).mean
    torch.testing.assert_close(of_x0, numbers["posterior_coef_x0"], rtol=1e-4, atol=0)
    torch.testing.assert_close(of_xt, numbers["posterior_coef_xt"], rtol=1e-4, atol=0)


@pytest.mark.parametrize("beta_max", [0.3, 1.0, 4.0])
def test_sigma_is_the_quadrature_of_the_symmetric_schedule(beta_max):
    bridge = I2SB.Config(beta_max=beta_max).build()
    fine = np.linspace(0, 1, 200_001)
    beta = beta_max * np.minimum(fine, 1 - fine) ** 2
    steps = (beta[1:] + beta[:-1]) / 2 * np.diff(fine)
    integral = np.concatenate([[0], np.cumsum(steps)])
    for t in (0.1, 0.25, 0.5, 0.6, 0.95, 1.0):
        expected = integral[round(t * 200_000)]
        assert float(bridge.sigma(scalar(t))) ** 2 == pytest.approx(expected, rel=1e-6)


def test_it_starts_at_clean_and_ends_at_degraded():
    bridge, x0, x1 = I2SB.Config().build(), plane(2, 3, 4, 5), plane(2, 3, 4, 5, seed=1)
    start = bridge.marginal(x0, x1, torch.zeros(2))
    end = bridge.marginal(x0, x1, torch.ones(2))
    assert torch.equal(start.mean, x0)
    assert torch.equal(end.mean, x1)
    assert not start.variance.any()
    assert not end.variance.any()


@given(t=TIMES)
def test_coefficients_share_out_one_and_are_symmetric(t):
    bridge = I2SB.Config().build()
    a, b, c = (float(value) for value in bridge.coefficients(scalar(t)))
    a_back, b_back, c_back = (float(value) for value in bridge.coefficients(1 - scalar(t)))
    assert a + b == pytest.approx(1)
    assert (a, b, c) == pytest.approx((b_back, a_back, c_back), abs=1e-12)
    assert 0 <= c <= 0.5 / 12**0.5 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t", [0.0, 1e-12, 1e-7, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-7, 1.0])
def test_everything_is_finite_near_both_ends(t, dtype):
    bridge, x = I2SB.Config().build(), plane(1, 3, 4, 5)
    t = torch.tensor(t, dtype=dtype)
    values = [*bridge.coefficients(t), bridge.sigma(t)]
    if t > 0:
        for share in (0.0, 0.5, 1.0):
            posterior = bridge.posterior(x, x, t, share * t)
            values += [posterior.mean, posterior.variance]
            assert (posterior.variance >= 0).all()
    assert all(torch.isfinite(value).all() for value in values)


@given(times=st.sets(st.floats(1e-3, 1), min_size=2, max_size=2), beta=st.floats(0.1, 9))
def test_posterior_after_marginal_is_the_marginal(times, beta):
    """Chapman-Kolmogorov: x_s drawn through x_t is distributed as x_s drawn at once."""
    bridge = I2SB.Config(beta_max=beta).build()
    s, t = (scalar(time) for time in sorted(times))
    x0, x1 = plane(1, 3, 4, 5).double(), plane(1, 3, 4, 5, seed=1).double()
    at_t, at_s = bridge.marginal(x0, x1, t), bridge.marginal(x0, x1, s)
    through = bridge.posterior(x0, at_t.mean, t, s)
    zero = torch.zeros(1, dtype=torch.float64)
    keep = bridge.posterior(zero, zero + 1, t, s).mean
    torch.testing.assert_close(through.mean, at_s.mean, rtol=1e-9, atol=1e-12)
    variance = through.variance + keep**2 * at_t.variance
    torch.testing.assert_close(variance, at_s.variance.expand_as(variance), rtol=1e-9, atol=1e-15)


def test_posterior_ends_at_the_estimate_and_stays_where_no_time_passes():
    bridge, x0, xt = I2SB.Config().build(), plane(2, 3, 4, 5), plane(2, 3, 4, 5, seed=1)
    arrived = bridge.posterior(x0, xt, scalar(0.3), scalar(0.0))
    stayed = bridge.posterior(x0, xt, scalar(0.3), scalar(0.3))
    assert torch.equal(arrived.mean, x0)
    assert torch.equal(stayed.mean, xt)
    assert arrived.variance == stayed.variance == 0


def test_times_belong_to_their_items():
    bridge, x0, x1 = I2SB.Config().build(), plane(2, 3, 4, 5), plane(2, 3, 4, 5, seed=1)
    t, s = torch.tensor([0.9, 0.4]), torch.tensor([0.5, 0.1])
    together = bridge.marginal(x0, x1, t), bridge.posterior(x0, x1, t, s)
    for k in range(2):
        alone = (
            bridge.marginal(x0[k : k + 1], x1[k : k + 1], t[k]),
            bridge.posterior(x0[k : k + 1], x1[k : k + 1], t[k], s[k]),
        )
        for both, one in zip(together, alone, strict=True):
            torch.testing.assert_close(both.mean[k], one.mean[0])
            torch.testing.assert_close(both.variance[k].flatten(), one.variance.reshape(1))


def test_samples_have_the_stated_mean_and_variance():
    bridge, x0, x1 = I2SB.Config().build(), torch.full((1, 1), 2.0), torch.full((1, 1), -1.0)
    gaussian = bridge.marginal(x0, x1, torch.tensor([0.5]))
    draws = gaussian.sample(plane(50_000, 1))
    assert float(draws.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(draws.var()) == pytest.approx(1 / 48, rel=0.03)
