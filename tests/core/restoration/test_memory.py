from dataclasses import replace

import pytest
import torch
from engine_helpers import RATE, limited, model_config

from a2sb_core import Restorer
from a2sb_core.devices.memory import peak_bytes, ran_out
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import State
from a2sb_core.models.model import Model
from a2sb_core.restoration.memory import Halving, Memory


class Small:
    """A denoiser in a memory of ``room`` windows; remembers how many it was given."""

    def __init__(self, room, message="DefaultCPUAllocator: can't allocate memory"):
        self.room, self.message, self.calls = room, message, []

    def __call__(self, state):
        self.calls.append(len(state.xt))
        if len(state.xt) > self.room:
            raise RuntimeError(self.message)
        answer = state.xt + state.t.reshape(-1, 1, 1, 1) * state.x1
        return answer if state.missing is None else answer + state.missing


def windows(count, has_regions=True):
    generator = torch.Generator().manual_seed(0)
    xt, x1 = torch.randn(2, count, 1, 3, 4, generator=generator)
    t = torch.rand(count, generator=generator)
    return State(xt, t, x1, xt > 0 if has_regions else None)


@pytest.mark.parametrize(
    ("count", "room", "tried"),
    [(8, 8, [8]), (8, 3, [8, 4, 2, 2, 2, 2]), (7, 2, [7, 3, 1, 1, 1, 1, 1, 1, 1]), (1, 1, [1])],
)
@pytest.mark.parametrize("has_regions", [True, False])
def test_half_the_windows_are_tried_where_memory_runs_out(count, room, tried, has_regions):
    state, denoiser = windows(count, has_regions), Small(room)
    assert torch.equal(Halving(denoiser, 32)(state), Small(100)(state))
    assert denoiser.calls == tried


def test_what_fitted_is_kept():
    denoiser = Small(2)
    halving = Halving(denoiser, 32)
    halving(windows(8))
    denoiser.calls.clear()
    halving(windows(8))
    assert denoiser.calls == [2, 2, 2, 2]


def test_a_window_that_does_not_fit_is_an_error():
    with pytest.raises(ModelError, match="a single window of 4 frames"):
        Halving(Small(0), 32)(windows(4))


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes differ"):
        Halving(Small(1, "shapes differ"), 32)(windows(2))


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


def test_the_batch_follows_the_memory(model):
    restorer = Restorer(model, device="cpu", precision="fp32")
    plan = restorer.prepare([limited(RATE, 5000)], RATE, task="bandwidth", cutoff_hz=5000.0).plan
    memory = Memory(model, "fp32")
    assert memory.fit(plan) is plan
    for batch in (1, 2, 4):
        sampler = plan.sampler.with_batch(batch)
        memory.max_bytes = memory.estimate(replace(plan, sampler=sampler))
        assert memory.fit(plan).sampler.batch == batch
    memory.max_bytes //= 2
    with pytest.raises(ModelError, match="allow more"):
        memory.fit(plan)


WINDOWS = {"name": "multidiffusion", "window": 64, "hop": 32}
EARLY = {"task": "inpaint", "gaps_s": [(0.5, 0.55)]}
OFTEN = {"task": "inpaint", "gaps_s": [(t + 0.3, t + 0.35) for t in range(0, 10, 3)]}
LONG = {"task": "inpaint", "gaps_s": [(1.0, 9.0)]}
BAND = {"task": "bandwidth", "cutoff_hz": 3000.0}


@pytest.mark.parametrize(
    ("asked", "channels", "rate", "steps"),
    [
        (BAND, 8, RATE, 2),
        (BAND, 1, 8000, 32),
        (BAND, 1, 192_000, 2),
        (EARLY, 4, RATE, 2),
        (OFTEN, 2, 48_000, 8),
        (LONG, 4, RATE, 4),
        (BAND, 2, RATE, None),
    ],
    ids=["8 channels", "low rate", "high rate", "early gap", "many gaps", "long gap", "no windows"],
)
def test_no_restoration_exceeds_its_estimate(asked, channels, rate, steps):
    """A limit below what is used is refused, and one above it is not needlessly high."""
    sampler = {"name": "implicit", "steps": 2}
    if steps is not None:
        sampler = WINDOWS | {"inner": sampler | {"steps": steps}}
    parts = [{"corruption": "bandwidth"}, {"corruption": "inpainting"}]
    config = model_config(
        representation={"name": "factorized", "n_fft": 1024, "hop_length": 256},
        corruption={"name": "mixture", "parts": parts},
        sampler=sampler,
    )
    restorer = Restorer(Model(config), device="cpu", precision="fp32")
    if steps is not None:  # a network that takes no time
        restorer.model.backbone.forward = lambda x, t, condition=None: 0.5 * x
    seconds = 1 if steps is None else 10
    blocks = [0.1 * torch.randn(channels, rate)] * seconds  # one second in memory
    asked = {"samples": seconds * rate, **asked}
    plan = restorer.prepare(blocks, rate, **asked).plan
    estimate = restorer.memory.estimate(plan)

    def restore():
        for _ in restorer.prepare(blocks, rate, **asked).run():
            pass

    used = peak_bytes(torch.device("cpu"), restore)
    assert used < estimate < 4 * used + (256 << 20)
    with pytest.raises(ModelError, match="allow more"):
        Memory(restorer.model, "fp32", used // 2).fit(plan)


def test_the_scan_of_a_long_recording_takes_little_memory(model):
    restorer = Restorer(model, device="cpu", precision="fp32")
    blocks = [0.1 * torch.randn(2, 3 * RATE)] * 150
    asked = {"samples": 450 * RATE, **EARLY}
    used = peak_bytes(torch.device("cpu"), lambda: restorer.prepare(blocks, RATE, **asked))
    assert used < 64 << 20


def test_a_whole_recording_of_unknown_length_is_refused():
    restorer = Restorer(
        Model(model_config(sampler={"name": "implicit", "steps": 1})),
        device="cpu",
        precision="fp32",
        max_bytes=1 << 40,
    )
    wave = limited(RATE // 4, 5000)
    assert restorer.restore(wave, RATE, **BAND).shape == wave.shape
    with pytest.raises(ModelError, match="length, which is unknown"):
        restorer.prepare(iter([wave]), RATE, **BAND)


@pytest.mark.parametrize("max_bytes", [120_000_000, 300_000_000])
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
    assert compiled.prepare((wave,), RATE, **task).settings()["is_compiled"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert set(compiled.model.state_dict()) == set(Model(model_config()).state_dict())
