import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


@given(t=TIMES)
def test_coefficients_share_out_one_and_are_symmetric(t):
    bridge = I2SB.Config().build()
    a, b, c = (float(value) for value in bridge.coefficients(scalar(t)))
    a_back, b_back, c_back = (float(value) for value in bridge.coefficients(1 - scalar(t)))
    assert a + b == pytest.approx(1)
    assert (a, b, c) == pytest.approx((b_back, a_back, c_back), abs=1e-12)
    assert 0 <= c <= 0.5 / 12**0.5 + 1e-12
