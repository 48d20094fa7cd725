"""What holds on an NVIDIA GPU; every test is skipped on a machine without one."""

import math
from copy import deepcopy

import pytest
import torch
from engine_helpers import RATE, limited, model_config, train_config, write_audio
from training_checks import read_state

from a2sb_core import Restorer
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import State
from a2sb_core.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def small():
    """The shipped model on the GPU, in single precision."""
    return Restorer.from_pretrained("small", device="cuda", precision="fp32")


def windows(model, count=4, frames=64):
    generator = torch.Generator().manual_seed(0)
    shape = (count, model.representation.channels, model.representation.rows, frames)
    xt, x1 = torch.randn(2, *shape, generator=generator)
    missing = torch.zeros(count, 1, *shape[2:], dtype=torch.bool)
    missing[:, :, shape[2] // 3 :] = True
    return State(xt, torch.full((count,), 0.5), x1, missing)


def moved(state, device):
    return state.map(lambda x: x.to(device), state.t.to(device))


def error(found, true):
    """The norm of the error, relative to that of the truth."""
    return float((found - true).norm() / true.norm())


def test_the_network_computes_what_it_computes_on_the_cpu(small):
    state, other = windows(small.model), deepcopy(small.model).cpu()
    with torch.no_grad():
        true = other.denoiser()(state)
        found = small.model.denoiser()(moved(state, CUDA)).cpu()
        with choose_autocast(CUDA, "bf16"):
            rough = small.model.denoiser()(moved(state, CUDA)).float().cpu()
    assert error(found, true) < 2e-3  # convolutions use TF32
    assert error(rough, true) < 0.05


@pytest.mark.parametrize(
    "damage",
    [{"task": "bandwidth", "cutoff_hz": 4000.0}, {"task": "inpaint", "gaps_s": [(0.5, 0.6)]}],
    ids=lambda damage: damage["task"],
)
def test_a_restoration_repeats_and_does_not_depend_on_blocks(small, damage):
    wave = limited(2 * RATE, 4000, channels=2)
    first = small.restore(wave, RATE, steps=2, **damage)
    assert torch.isfinite(first).all() and first.shape == wave.shape and first.device == wave.device
    torch.testing.assert_close(small.restore(wave, RATE, steps=2, **damage), first)
    blocks = small.prepare(wave.split(30_000, dim=-1), RATE, steps=2, **damage).run()
    torch.testing.assert_close(torch.cat(list(blocks), dim=-1), first, rtol=1e-3, atol=1e-3)
    if "gaps_s" in damage:
        kept = torch.cat([first[:, : int(0.4 * RATE)], first[:, int(0.7 * RATE) :]], dim=-1)
        true = torch.cat([wave[:, : int(0.4 * RATE)], wave[:, int(0.7 * RATE) :]], dim=-1)
        assert torch.equal(kept, true)
    else:
        assert first.std() > 0 and not torch.equal(first, wave)


def test_audio_on_the_gpu_is_restored_there(small):
    wave = limited(RATE, 4000).cuda()
    restored = small.restore(wave, RATE, task="bandwidth", cutoff_hz=4000.0, steps=1)
    assert restored.device == wave.device and restored.shape == wave.shape


def test_a_memory_budget_is_kept():
    wave, budget = limited(10 * RATE, 4000, channels=2), 600 << 20
    restorer = Restorer.from_pretrained("small", device="cuda", max_bytes=budget)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=4000.0, steps=4)
    assert torch.cuda.max_memory_allocated() <= budget
    restorer.memory.max_bytes = 60 << 20
    with pytest.raises(ModelError, match="too small"):
        restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=4000.0, steps=4)


def test_a_compiled_network_computes_the_same(small):
    wave = limited(RATE, 4000)
    compiled = Restorer.from_pretrained("small", device="cuda", precision="fp32", compile=True)
    results = [
        one.restore(wave, RATE, task="bandwidth", cutoff_hz=4000.0, steps=2)
        for one in (small, compiled, compiled)
    ]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-2, atol=1e-3)


def test_xformers_computes_what_pytorch_computes():
    pytest.importorskip("xformers")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 16, 12, generator=generator).cuda()
    t = torch.rand(2, generator=generator).cuda()
    backbone = model_config().backbone.model_dump() | {"attention_levels": (0,)}
    torch.manual_seed(0)
    plain, other = (
        model_config(backbone=backbone | {"attention": kind}).backbone.build(channels=3).cuda()
        for kind in ("sdpa", "xformers")
    )
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    other.load_state_dict(plain.state_dict())
    plain(x, t).square().mean().backward()
    try:
        other(x, t).square().mean().backward()
    except ModelError as problem:  # it was built for another version of PyTorch
        assert "attention: sdpa" in str(problem)  # which the user can choose
        return
    for (name, one), two in zip(plain.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-2, atol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_training_run_resumes(tmp_path, precision):
    write_audio(tmp_path / "audio")
    settings = {"device": "cuda", "precision": precision}
    whole, parts = {}, {}
    config = train_config(tmp_path, output=tmp_path / "whole", **settings)
    Trainer(config).run(on_step=whole.__setitem__)
    config = train_config(tmp_path, output=tmp_path / "parts", **settings)

    def stop(step, loss):
        parts[step] = loss
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(config).run(on_step=stop)
    Trainer(config).run(on_step=parts.__setitem__)
    assert all(map(math.isfinite, whole.values()))
    assert parts == pytest.approx(whole, rel=1e-3)
    first, second = (read_state(tmp_path / run, 6)["model"] for run in ("whole", "parts"))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-2, atol=1e-3, msg=name)


def test_the_noise_depends_on_the_seed_alone(small):
    wave = limited(RATE // 2, 4000)
    first, again, other = (
        small.restore(wave, RATE, task="bandwidth", cutoff_hz=4000.0, steps=2, seed=seed)
        for seed in (0, 0, 1)
    )
    assert error(again, first) < 1e-5 < 1e-3 < error(other, first)
