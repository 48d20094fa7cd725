import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from task_helpers import Counting, plane

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import Degraded, Noise, State, per_item
from a2sb_tasks.bridges.i2sb import I2SB
from a2sb_tasks.samplers.ancestral import ODE, Ancestral
from a2sb_tasks.samplers.implicit import Implicit
from a2sb_tasks.samplers.multidiffusion import MultiDiffusion

BRIDGE = I2SB.Config().build()


def build(inner=None, window=16, hop=8, **fields):
    inner = inner or Ancestral.Config(steps=3)
    return MultiDiffusion.Config(inner=inner, window=window, hop=hop, **fields).build()


def run(sampler, denoiser, x1, missing=None, seed=0):
    noise = Noise(seed, x1.shape[1], x1.shape[2])
    return sampler.sample(denoiser, BRIDGE, Degraded(x1, missing), noise)


def mixing(state):
    """A denoiser that mixes all frames of its window, each with its own share."""
    xt, place = state.xt, torch.linspace(0, 1, state.xt.shape[-1]) ** 2
    mean = (place * xt).mean(dim=(2, 3), keepdim=True)
    return torch.tanh(0.3 * xt + mean) + 0.1 * place * state.x1 * per_item(state.t, xt)


def framewise(state):
    return torch.tanh(state.xt) * per_item(state.t, state.xt) + 0.2 * state.x1


def test_averaging_of_windows_equals_the_published_system(golden):
    numbers = golden("multidiffusion")
    embedding = numbers["t_emb"]

    def network(state):
        xt = state.xt
        assert xt.shape[-1] == 32
        e = embedding.expand(len(xt), -1)
        return xt / 2 + xt.mean(dim=-1, keepdim=True) * e[:, 0, None, None, None]

    sampler = build(ODE.Config(steps=1), window=32, hop=16)
    padded = sampler.pad(numbers["x"])
    assert torch.equal(padded, numbers["padded"])
    averaged = sampler.windowed(network)(State(padded, torch.ones(1), padded))
    torch.testing.assert_close(averaged[..., :100], numbers["out"], rtol=1e-5, atol=1e-6)
    # One step of the sampler is one such evaluation.
    torch.testing.assert_close(
        run(sampler, network, numbers["x"]), numbers["out"], rtol=1e-5, atol=1e-6
    )


@given(frames=st.integers(1, 70), hop=st.sampled_from([1, 4, 8, 16]), smooth=st.booleans())
@example(frames=1, hop=16, smooth=True)
@example(frames=16, hop=4, smooth=False)
@example(frames=17, hop=16, smooth=False)
def test_a_framewise_denoiser_knows_nothing_of_windows(frames, hop, smooth):
    x1, missing = plane(2, 3, 4, frames), plane(2, 1, 4, frames, seed=1) > 0
    weighting = "smooth" if smooth else "uniform"
    windowed = run(build(window=16, hop=hop, weighting=weighting), framewise, x1, missing)
    whole = run(Ancestral.Config(steps=3).build(), framewise, x1, missing)
    assert windowed.shape == x1.shape
    torch.testing.assert_close(windowed, whole, rtol=1e-5, atol=1e-6)


@given(frames=st.integers(1, 70), smooth=st.booleans(), batch=st.sampled_from([1, 2, 5, 64]))
def test_how_many_windows_are_run_at_once_changes_nothing(frames, smooth, batch):
    x1, missing = plane(2, 3, 4, frames), plane(2, 1, 4, frames, seed=1) > 0.5
    weighting = "smooth" if smooth else "uniform"
    for inner in (Ancestral.Config(steps=3), Implicit.Config(steps=3)):
        one = run(build(inner, weighting=weighting, batch=1), mixing, x1, missing)
        many = run(build(inner, weighting=weighting, batch=batch), mixing, x1, missing)
        torch.testing.assert_close(many, one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighting", ["uniform", "smooth"])
def test_the_average_is_the_same_for_any_order_of_windows(weighting):
    x, t = plane(1, 3, 4, 48), torch.ones(1)
    sampler = build(weighting=weighting)
    averaged = sampler.windowed(mixing)(State(x, t, x))
    weight = {
        "uniform": torch.ones(16),
        "smooth": torch.sin(math.pi * (torch.arange(16) + 0.5) / 16) ** 2,
    }[weighting]
    total, norm = torch.zeros_like(x), torch.zeros(48)
    for start in (32, 0, 24, 8, 16):
        window = x[..., start : start + 16]
        total[..., start : start + 16] += weight * mixing(State(window, t, window))
        norm[start : start + 16] += weight
    torch.testing.assert_close(averaged, total / norm, rtol=1e-6, atol=1e-6)


def test_weights_are_positive_and_smooth_ones_trust_the_middle():
    uniform, smooth = build().weights(), build(weighting="smooth").weights()
    assert torch.equal(uniform, torch.ones(16))
    assert (smooth > 0).all()
    torch.testing.assert_close(smooth, smooth.flip(0))
    assert (smooth[:8].diff() > 0).all()
    # With half overlap they add up to one everywhere.
    torch.testing.assert_close(smooth[:8] + smooth[8:], torch.ones(8))


@given(frames=st.integers(1, 90), first=st.integers(0, 89), count=st.integers(0, 30))
@example(frames=40, first=0, count=0)
def test_windows_with_nothing_missing_are_not_evaluated(frames, first, count):
    missing = torch.zeros(1, 1, 4, frames, dtype=torch.bool)
    missing[:, :, 2, first % frames : first % frames + count] = True
    sampler, counting = build(), Counting(torch.zeros(1))
    run(sampler, counting, plane(1, 3, 4, frames), missing)
    total = 16 + 8 * max(0, math.ceil((frames - 16) / 8))
    frame_is_missing = missing.flatten(0, 2).any(dim=0)[torch.arange(total) % frames]
    starts = range(0, total - 15, 8)
    wanted = sum(bool(frame_is_missing[start : start + 16].any()) for start in starts)
    assert counting.windows == 3 * wanted


def test_a_window_is_evaluated_if_any_item_misses_something_there():
    missing = torch.zeros(2, 1, 4, 48, dtype=torch.bool)
    missing[0, 0, 0, 0] = missing[1, 0, 3, 47] = True
    counting = Counting(torch.zeros(1))
    restored = run(build(), counting, plane(2, 3, 4, 48), missing)
    assert counting.windows == 3 * 2 * 2
    assert not restored[missing.expand(2, 3, 4, 48)].any()


def test_windows_in_which_everything_may_change_are_all_evaluated():
    counting = Counting(torch.zeros(1))
    run(build(batch=2), counting, plane(1, 3, 4, 48), None)
    assert counting.windows == 3 * 5
    assert counting.calls == 3 * 3


def test_each_window_is_shown_its_own_content():
    x1 = torch.arange(48.0).expand(2, 3, 4, 48) + torch.tensor([0.0, 100.0])[:, None, None, None]
    missing = (torch.arange(48) % 3 == 0).expand(2, 1, 4, 48)
    seen = []

    def denoiser(state):
        for x, region in zip(state.x1, state.missing, strict=True):
            start = int(x[0, 0, 0]) % 100
            seen.append((int(x[0, 0, 0]) // 100, start))
            assert torch.equal(x[0, 0] % 100, torch.arange(start, start + 16.0))
            assert torch.equal(region[0, 0], (torch.arange(start, start + 16) % 3 == 0))
        return state.xt

    run(build(ODE.Config(steps=1), batch=4), denoiser, x1, missing)
    assert sorted(seen) == [(k, start) for k in (0, 1) for start in (0, 8, 16, 24, 32)]


def test_each_item_is_shown_its_own_time():
    x = torch.tensor([1.0, 2.0, 3.0])[:, None, None, None].expand(3, 1, 2, 40)
    t, seen = torch.tensor([0.1, 0.5, 0.9]), set()

    def denoiser(state):
        seen.update(zip(state.xt[:, 0, 0, 0].tolist(), state.t.tolist(), strict=True))
        return state.xt

    build(batch=100).windowed(denoiser)(State(x, t, x))
    assert seen == set(zip([1.0, 2.0, 3.0], t.tolist(), strict=True))


@pytest.mark.parametrize(
    ("frames", "total"), [(1, 16), (15, 16), (16, 16), (17, 24), (24, 24), (25, 32)]
)
def test_the_end_is_padded_with_the_files_own_first_frames(frames, total):
    x = torch.arange(1.0, frames + 1).expand(1, 2, 3, frames)
    padded = build().pad(x)
    assert padded.shape == (1, 2, 3, total)
    assert padded[0, 0, 0].tolist() == [k % frames + 1 for k in range(total)]


def test_a_hop_that_does_not_divide_the_window_is_refused():
    with pytest.raises(ConfigError, match="hop 7 must divide window 16"):
        MultiDiffusion.Config(inner=ODE.Config(), window=16, hop=7)
    with pytest.raises(ConfigError, match="hop 32 must divide window 16"):
        MultiDiffusion.Config(inner=ODE.Config(), window=16, hop=32)


def test_only_a_sampler_that_moves_frame_by_frame_can_be_inside():
    with pytest.raises(ValueError, match=r"StepSampler.*not `multidiffusion`"):
        MultiDiffusion.Config(inner=MultiDiffusion.Config(inner=ODE.Config())).build()


def test_the_start_of_a_file_does_not_depend_on_what_follows_far_behind():
    """Each of three steps reaches one window further: content beyond that is never seen."""
    short, long = plane(1, 3, 4, 96), plane(1, 3, 4, 160)
    long[..., :96] = short
    sampler = build(Ancestral.Config(steps=3))
    reach = 96 - 3 * 16 - 8
    torch.testing.assert_close(
        run(sampler, mixing, long)[..., :reach],
        run(sampler, mixing, short)[..., :reach],
        rtol=1e-6,
        atol=1e-6,
    )
