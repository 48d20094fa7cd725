"""Bridges beside that of the paper."""

import math

import pytest
import torch
from engine_helpers import model_config, train_config, write_audio

from a2sb_core.config.loading import load_yaml
from a2sb_core.interfaces import Degraded, Noise
from a2sb_core.plugins import default_registry
from a2sb_core.training.trainer import Trainer
from a2sb_tasks.bridges.interpolating import OU, Flow
from a2sb_tasks.bridges.schrodinger import VE, VP, GMax

BRIDGES = ["i2sb", "ve", "vp", "gmax", "brownian", "interpolant", "ou", "flow"]
SAMPLERS = {"ancestral": {}, "ode": {}, "implicit": {}, "implicit of order 2": {"order": 2}}


def built(kind, name, **fields):
    return default_registry().resolve(kind, name).Config(**fields).build()


@pytest.mark.parametrize("name", BRIDGES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_sampler_ends_at_what_the_denoiser_knows(name, sampler):
    generator = torch.Generator().manual_seed(0)
    x0, x1 = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2))
    steps = built("sampler", sampler.split()[0], steps=6, **SAMPLERS[sampler])
    seen = []

    def denoiser(state):
        seen.append(state.xt)
        return x0

    found = steps.sample(denoiser, built("bridge", name), Degraded(x1, None), Noise(0, 3, 4))
    torch.testing.assert_close(found, x0, atol=1e-5, rtol=1e-5)
    assert torch.allclose(seen[0], x1) and len(seen) == 6


def integral(function, end, steps=20_000):
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) * end / steps
    return float(function(t).sum() * end / steps)


@pytest.mark.parametrize(
    ("bridge", "drift", "square"),
    [
        (VE.Config(), lambda t: 0 * t, lambda t: 0.4 * 2.6 ** (2 * t)),
        (VP.Config(), lambda t: -(0.01 + 19.99 * t) / 2, lambda t: 0.3 * (0.01 + 19.99 * t)),
        (GMax.Config(), lambda t: 0 * t, lambda t: 0.01 + 0.99 * t),
    ],
    ids=["ve", "vp", "gmax"],
)
def test_coefficients_are_those_of_the_process(bridge, drift, square):
    def alpha(t):
        return torch.tensor([math.exp(integral(drift, float(x), 2000)) for x in t.reshape(-1)])

    def variance(end):
        return integral(lambda t: square(t) / alpha(t).double() ** 2, end, 400)

    total, last = variance(1.0), float(alpha(torch.ones(1)))
    for t in (0.2, 0.7):
        grown, now = variance(t), float(alpha(torch.tensor([t])))
        rest = total - grown
        wanted = (
            now * rest / total,
            now / last * grown / total,
            now * math.sqrt(grown * rest / total),
        )
        found = bridge.build().coefficients(torch.tensor(t, dtype=torch.float64))
        assert [float(x) for x in found] == pytest.approx(wanted, rel=0.02)


def test_a_stiff_process_stays_near_the_degraded_end_and_a_soft_one_is_brownian():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    soft, stiff = (OU.Config(stiffness=x, noise=1).build().coefficients(t) for x in (1e-3, 20))
    torch.testing.assert_close(soft[0], 1 - t, atol=1e-5, rtol=0)
    torch.testing.assert_close(soft[2], (t * (1 - t)).sqrt(), atol=1e-5, rtol=0)
    assert float(stiff[0][2]) < 0.05 and float(stiff[1][2]) > 0.95


def test_the_target_of_a_flow_is_the_velocity():
    bridge, t = Flow.Config().build(), torch.tensor([0.3, 0.8], dtype=torch.float64)
    x0, x1 = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[4.0], [-1.0]]).double()
    xt = bridge.marginal(x0, x1, t).mean
    torch.testing.assert_close((xt - x0) / bridge.sigma(t)[:, None], x1 - x0)


@pytest.mark.parametrize("name", BRIDGES[1:])
def test_a_preset_has_the_model_of_the_paper_with_another_bridge_and_trains(name, tmp_path):
    paper, fields = load_yaml("paper"), load_yaml(f"paper-{name}")
    assert fields.pop("bridge")["name"] == name
    sampler, own = fields.pop("sampler"), paper.pop("sampler")
    assert {**sampler, "inner": own["inner"]} == own and sampler["inner"]["steps"] == 100
    assert fields.items() <= paper.items()

    write_audio(tmp_path / "audio")
    inner = {**sampler["inner"], "steps": 2}
    tiny = model_config(
        bridge=name,
        prediction=fields["prediction"],
        sampler={**sampler, "window": 16, "hop": 8, "inner": inner},
    )
    trainer = Trainer(train_config(tmp_path, model=tiny, steps=2, data={"validation_files": 0}))
    trainer.run()
    weights = trainer.model.backbone.parameters()
    assert all(bool(torch.isfinite(value).all()) for value in weights)
