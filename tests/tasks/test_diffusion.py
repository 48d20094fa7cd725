"""A diffusion from noise, with which bridges are compared."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import plane

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import Degraded, Frames, Noise
from a2sb_tasks.bridges.diffusion import Diffusion
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.corruptions.mixture import Mixture
from a2sb_tasks.samplers.ancestral import ODE, Ancestral
from a2sb_tasks.samplers.implicit import Implicit
from a2sb_tasks.samplers.multidiffusion import MultiDiffusion

DIFFUSION, NOISE = Diffusion.Config().build(), Noise(0, 2, 4)
INNERS = (
    Ancestral.Config(steps=4),
    Implicit.Config(steps=3),
    ODE.Config(steps=3),
    Implicit.Config(steps=4, order=2),
)


def gaussian(state):
    """The perfect denoiser of x0 ~ N(1, 0.2^2): E[x0 | x_t]."""
    a, _, c = (float(value) for value in DIFFUSION.coefficients(state.t[0].double()))
    prior = 0.2**2
    return 1 + a * prior / (a * a * prior + c * c) * (state.xt - a)


def test_power_is_kept():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    a, b, c = DIFFUSION.coefficients(t)
    torch.testing.assert_close(a**2 + c**2, torch.ones_like(t))
    assert not b.any()


def test_a_bridge_starts_from_x1_and_a_diffusion_from_noise_by_place():
    x1 = plane(2, 2, 4, 50)
    assert I2SB.Config().build().start(x1, NOISE) is x1
    whole = DIFFUSION.start(x1, NOISE)
    torch.testing.assert_close(whole, NOISE.at(-1, 0, 50).expand_as(x1))
    torch.testing.assert_close(DIFFUSION.start(x1[..., 7:], NOISE, 7), whole[..., 7:])


@pytest.mark.parametrize("inner", [Ancestral.Config(steps=200), Implicit.Config(steps=100)])
def test_sampling_with_the_perfect_denoiser_draws_from_the_data(inner):
    degraded, noise = Degraded(torch.zeros(1, 2, 64, 400), None), Noise(0, 2, 64)
    drawn = inner.build().sample(gaussian, DIFFUSION, degraded, noise)
    assert float(drawn.mean()) == pytest.approx(1, abs=0.01)
    assert float(drawn.std()) == pytest.approx(0.2, rel=0.05)


@given(inner=st.sampled_from(INNERS), frames=st.integers(1, 60), size=st.integers(1, 30))
def test_a_stream_equals_the_whole(inner, frames, size):
    x1, missing = plane(1, 2, 4, frames), plane(1, 1, 4, frames, seed=1) > 0
    sampler = MultiDiffusion.Config(window=8, hop=4, inner=inner).build()
    whole = sampler.sample(gaussian, DIFFUSION, Degraded(x1, missing), NOISE)
    flow, out = sampler.stream(gaussian, DIFFUSION, NOISE), []
    for start in range(0, frames, size):
        part = slice(start, start + size)
        out += flow.push(Frames(start, x1[..., part], missing[..., part]))
    out += flow.finish(frames)
    torch.testing.assert_close(torch.cat([piece.x for piece in out], dim=-1), whole)
    torch.testing.assert_close(whole[~missing.expand_as(x1)], x1[~missing.expand_as(x1)])


def test_a_part_of_no_weight_is_served_and_never_drawn():
    parts = ({"corruption": "everything"}, {"corruption": "bandwidth", "weight": 0})
    mixture, generator = Mixture.Config(parts=parts).build(), torch.Generator().manual_seed(0)
    assert mixture.tasks() == ("everything", "bandwidth")
    assert {mixture.draw(1.0, generator).part for _ in range(50)} == {0}
    with pytest.raises(ConfigError, match="all weights are 0"):
        Mixture.Config(parts=({"corruption": "bandwidth", "weight": 0},))
