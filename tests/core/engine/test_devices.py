"""Where is computed: which device is taken, and that nothing is asked of it that it can not do."""

import copy
from types import SimpleNamespace

import pytest
import torch
from engine_helpers import RATE, limited, model_config, without_dropout
from pretended import KERNELS, Pretended, RefusedError, pretending

from a2sb_core.config.run import TimesConfig
from a2sb_core.engine import memory, objective, restorer
from a2sb_core.engine.devices import choose_device, choose_precision
from a2sb_core.engine.filing import _digest
from a2sb_core.engine.model import Model
from a2sb_core.engine.restorer import Restorer
from a2sb_core.engine.segments import Segment
from a2sb_core.engine.times import Times
from a2sb_core.errors import ModelError

MPS = torch.device("mps")


@pytest.fixture
def apple(monkeypatch):
    with pretending(monkeypatch) as device:
        monkeypatch.setattr(restorer, "choose_device", torch.device)
        yield device


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [
    (0, False, "cpu"), (2, False, "cuda"), (0, True, "mps"), (2, True, "cuda"),
])
def test_the_best_device_is_taken(cuda, mps, chosen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == chosen
    assert choose_device("cpu").type == "cpu"
    for name, here in (("cuda", cuda), ("cuda:1", cuda > 1), ("cuda:2", False), ("mps", mps),
                       ("mps:0", mps), ("mps:1", False)):
        if here:
            assert choose_device(name) == torch.device(name)
        else:
            with pytest.raises(ModelError, match="is not available on this machine"):
                choose_device(name)


def test_precision_of_an_apple_device_is_single():
    assert choose_precision(MPS, "auto") == "fp32"
    assert torch.amp.is_autocast_available("mps")  # it may be asked for all the same


def test_the_pretended_device_refuses_what_apples_refuses(apple):
    x = torch.ones(3, device=apple)
    assert isinstance(x, Pretended) and x.device == apple and (x + x).sum().item() == 6
    assert torch.equal((x * torch.tensor(2.0)).cpu(), torch.full((3,), 2.0))
    assert isinstance(torch.tensor(1.0, dtype=torch.float64).to(x), Pretended)
    for refused in (
        lambda: x.double(),
        lambda: torch.zeros(2, dtype=torch.float64, device=apple),
        lambda: torch.ones(2, dtype=torch.complex128).to(apple),
        lambda: x + torch.ones(3),
        lambda: torch.geqrf(torch.ones(3, 3, device=apple)),
        lambda: torch.empty(3, device=apple, pin_memory=True),
    ):
        with pytest.raises(RefusedError):
            refused()
    assert "geqrf" not in KERNELS and {"mm", "_fft_r2c", "fft_rfft"} <= KERNELS


WINDOWS = {"name": "multidiffusion", "window": 16, "hop": 8}
SPECTRA = {"n_fft": 256, "hop_length": 64}
PAPER = {"name": "paper", "tell": "known"}
ATTENDING = {
    "name": "rope_unet", "widths": (32, 32), "groups": 8, "heads": 2, "attention_levels": (0,),
    "patch": 4,
}
COMPOSITIONS = {
    "as shipped": {},
    "with attention": {"backbone": ATTENDING},
    "experts": {"backbone": {"name": "experts", "expert": ATTENDING, "cuts": "paper-2"}},
    "phases refined": {"representation": {"name": "factorized", "phase_iterations": 1, **SPECTRA}},
    "complex": {"representation": {"name": "complex_stft", **SPECTRA}, "prediction": PAPER},
    "mdct": {"representation": {"name": "mdct", "rows": 64}, "prediction": PAPER},
    "cqt": {"representation": {"name": "cqt", "rows": 32, "bins_per_octave": 6, "hop_length": 8},
            "prediction": PAPER},
    "ancestral": {"sampler": WINDOWS | {"inner": {"name": "ancestral", "steps": 2}}},
    "second order": {"sampler": WINDOWS | {"inner": {"name": "implicit", "steps": 3, "order": 2}}},
    "at once": {"sampler": {"name": "ode", "steps": 2}},
    "smooth windows": {"sampler": WINDOWS | {
        "inner": {"name": "ode", "steps": 2}, "weighting": "smooth", "state": "host"}},
    "diffusion": {"bridge": "diffusion", "prediction": PAPER},
    "guided": {"prediction": {"name": "guided", "inner": {"name": "paper"}}},
}


@pytest.mark.parametrize("changes", COMPOSITIONS.values(), ids=COMPOSITIONS.keys())
def test_restoring_asks_nothing_of_an_apple_device_that_it_refuses(changes, apple):
    """Whatever a model is made of; and the result is that of the CPU."""
    torch.manual_seed(0)
    model = Model(model_config(**changes))
    wave = limited(3000, 6000, channels=2)
    for asked in ({"task": "bandwidth", "cutoff_hz": 6000.0},
                  {"task": "inpaint", "gaps_s": [(0.03, 0.035)]}):
        expected = Restorer(copy.deepcopy(model), "cpu", "fp32").restore(wave, RATE, **asked)
        restored = Restorer(copy.deepcopy(model), str(apple)).restore(wave, RATE, **asked)
        assert not isinstance(restored, Pretended)
        torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-5)
        assert not torch.equal(restored, wave)


def test_training_asks_nothing_of_an_apple_device_that_it_refuses(apple):
    torch.manual_seed(0)
    model = Model(without_dropout())
    there, here = (_trained(copy.deepcopy(model).to(device)) for device in (apple, "cpu"))
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-5, equal_nan=True)


def _trained(model):
    """Fit the statistics and take the losses and the gradient of two segments."""
    device = next(model.parameters()).device
    segments = [Segment(limited(4096, 9000)[0], 22050.0, "a", k) for k in range(2)]
    batch = objective.degrade(model, segments, objective.generators(segments, seed=0))
    model.prediction.fit(batch.x0)
    times = Times(TimesConfig(kind="by_loss"), (0.0, 1.0))
    t, weights = times.draw(objective.generators(segments, seed=1))
    noise = objective.draw_noise(batch.x0, objective.generators(segments, seed=2))
    part = objective.Part(batch, t.to(device), weights.to(device), noise)
    losses = objective.item_losses(model, part, model, stft_weight=0.1)
    losses.sum().backward()
    times.learn(part.t, losses)
    gradient = next(model.backbone.parameters()).grad
    return [losses.detach().cpu(), gradient.cpu(), times.means]


def test_a_model_has_one_name_on_every_device(apple):
    torch.manual_seed(0)
    model = Model(model_config())
    name = _digest(model)
    assert _digest(model.to(apple)) == name


@pytest.fixture
def allocator(monkeypatch):
    """Stand for the allocator of an Apple device, of 8 GiB with one of them taken."""
    stand_in = SimpleNamespace(
        recommended_max_memory=lambda: 8 << 30, driver_allocated_memory=lambda: 1 << 30,
        empty_cache=lambda: None, synchronize=lambda: None,
    )
    monkeypatch.setattr(torch, "mps", stand_in)
    return stand_in


def test_memory_of_an_apple_device(allocator, monkeypatch):
    """It is the machine's own, and only the share that it recommends."""
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=3 << 30))
    assert memory.free_bytes(MPS) == 3 << 30
    allocator.recommended_max_memory = lambda: 2 << 30
    assert memory.free_bytes(MPS) == 1 << 30
    allocator.driver_allocated_memory = lambda: 5 << 30
    assert memory.free_bytes(MPS) == 0


def test_the_peak_on_an_apple_device_is_what_its_allocator_grew_by(allocator):
    held = iter((100, 700))
    allocator.driver_allocated_memory = lambda: next(held)
    assert memory._mps_peak(lambda: None) == 600


def test_an_apple_device_lets_go_of_what_it_keeps_where_memory_runs_out(allocator):
    released = []
    allocator.empty_cache = lambda: released.append(True)
    memory._release(MPS)
    assert released == [True]
    assert memory.ran_out(RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"))
