import pytest
import torch
from engine_helpers import RATE, limited, model_config

from a2sb_core import Restorer
from a2sb_core.engine import memory
from a2sb_core.engine.memory import Halving, fit_batch, ran_out
from a2sb_core.engine.model import Model
from a2sb_core.errors import ModelError


class Small:
    """A denoiser in a memory of ``room`` windows; remembers how many it was given."""

    def __init__(self, room, message="DefaultCPUAllocator: can't allocate memory"):
        self.room, self.message, self.calls = room, message, []

    def __call__(self, xt, t, x1, missing):
        self.calls.append(len(xt))
        if len(xt) > self.room:
            raise RuntimeError(self.message)
        return xt + t.reshape(-1, 1, 1, 1) * x1 + (0 if missing is None else missing)


def windows(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    xt, x1 = torch.randn(2, count, 1, 3, 4, generator=generator)
    return xt, torch.rand(count, generator=generator), x1, xt > 0


@pytest.mark.parametrize(("count", "room", "tried"), [
    (8, 8, [8]), (8, 3, [8, 4, 2, 2, 2, 2]), (7, 2, [7, 3, 1, 1, 1, 1, 1, 1, 1]), (1, 1, [1]),
])
@pytest.mark.parametrize("has_regions", [True, False])
def test_half_the_windows_are_tried_where_memory_runs_out(count, room, tried, has_regions):
    xt, t, x1, missing = windows(count)
    missing = missing if has_regions else None
    denoiser = Small(room)
    found = Halving(denoiser)(xt, t, x1, missing)
    assert torch.equal(found, Small(100)(xt, t, x1, missing))
    assert denoiser.calls == tried


def test_what_fitted_is_kept():
    denoiser = Small(2)
    halving = Halving(denoiser)
    halving(*windows(8))
    denoiser.calls.clear()
    halving(*windows(8))
    assert denoiser.calls == [2, 2, 2, 2]


def test_a_window_that_does_not_fit_is_told():
    with pytest.raises(ModelError, match="a single window of 4 frames"):
        Halving(Small(0))(*windows(4))


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes differ"):
        Halving(Small(1, "shapes differ"))(*windows(2))


def test_the_allocators_own_words_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert ran_out(caught.value)
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory"))
    assert not ran_out(RuntimeError("shapes differ"))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(model_config()).eval()


def test_the_batch_follows_the_memory(model, monkeypatch):
    held, one = memory._held_by(model), 10_000_000
    monkeypatch.setattr(memory, "_window_bytes", lambda *_: one)

    def batch(windows_worth):
        flight = memory._in_flight(model.sampler, 4, 1, 3 * model.representation.rows)
        limit = held + flight + round(windows_worth * one)
        return fit_batch(model.sampler, model, "fp32", 1, limit).batch

    assert [batch(n) for n in (1.01, 2.01, 3.5, 4.01, 400)] == [1, 2, 2, 4, 4]
    with pytest.raises(ModelError, match="allow more"):
        batch(0.1)


def test_a_given_batch_is_the_limit(model):
    sampler = model_config(sampler={
        "name": "multidiffusion", "window": 16, "hop": 8, "batch": 3, "inner": "implicit",
    }).sampler.build()
    assert fit_batch(sampler, model, "fp32", 1, 1 << 40).batch == 3
    assert fit_batch(sampler, model, "fp32", 1) is sampler


def test_the_window_is_measured(model):
    frames = model.sampler.frames_at_once
    inputs = 4 * 3 * model.representation.rows * frames
    assert inputs < memory._window_bytes(model, "fp32", frames) < 1 << 30


def test_frames_held_bound_what_a_stream_holds(model):
    sampler = model.sampler.with_steps(7)
    for items in (1, 2, 5):
        held = sampler.frames_held(items)
        assert held == 7 * 8 + max(1, 4 // items) * 8 + 16


@pytest.mark.parametrize("max_bytes", [10_000_000, 100_000_000])
def test_results_do_not_depend_on_memory(model, max_bytes):
    wave = limited(RATE // 4, 5000)
    plain = Restorer(model, device="cpu", precision="fp32")
    small = Restorer(model, device="cpu", precision="fp32", max_bytes=max_bytes)
    task = {"task": "bandwidth", "cutoff_hz": 5000.0}
    expected = plain.restore(wave, RATE, **task)
    torch.testing.assert_close(small.restore(wave, RATE, **task), expected, rtol=0, atol=1e-5)


def test_a_restoration_survives_a_lack_of_memory(model, monkeypatch):
    wave = limited(RATE // 4, 5000)
    restorer = Restorer(model, device="cpu", precision="fp32")
    task = {"task": "bandwidth", "cutoff_hz": 5000.0}
    expected, forward = restorer.restore(wave, RATE, **task), model.backbone.forward

    def scarce(x, *others):
        if len(x) > 1:
            raise torch.OutOfMemoryError("no memory")
        return forward(x, *others)

    monkeypatch.setattr(model.backbone, "forward", scarce)
    found = restorer.restore(wave, RATE, **task)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same(model):
    wave = limited(RATE // 4, 5000)
    task = {"task": "bandwidth", "cutoff_hz": 5000.0}
    expected = Restorer(model, device="cpu", precision="fp32").restore(wave, RATE, **task)
    compiled = Restorer(model, device="cpu", precision="fp32", compile=True)
    found = compiled.restore(wave, RATE, **task)
    assert compiled.job((wave,), RATE, **task).settings()["is_compiled"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert set(compiled.model.state_dict()) == set(Model(model_config()).state_dict())
