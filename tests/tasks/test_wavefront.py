"""A stream gives the numbers of the whole file, in the memory of a few hops."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from task_helpers import Counting, plane
from test_multidiffusion import BRIDGE, build, mixing, run

from a2sb_core.interfaces import ENDLESS, Frames, Noise
from a2sb_tasks.samplers.ancestral import ODE, Ancestral
from a2sb_tasks.samplers.implicit import Implicit

INNERS = (
    Ancestral.Config(steps=3),
    ODE.Config(steps=4),
    Implicit.Config(steps=2),
    Implicit.Config(steps=3, order=2, spacing="cosine"),
    Implicit.Config(steps=3, eta=0.5),
)
ONE_BY_ONE = {"batch": 1, "sizes": [1], "host": True}


def stream(sampler, denoiser, x1, missing, sizes, ranges=((0, ENDLESS),), seed=0):
    """Feed x1 in pieces of the given sizes, over and over; join what comes out."""
    noise, total = Noise(seed, x1.shape[1], x1.shape[2]), x1.shape[-1]
    flow, out, position, i = sampler.stream(denoiser, BRIDGE, noise), [], 0, 0
    while position < total:
        end = min(total, position + sizes[i % len(sizes)])
        for first, last in ranges:
            a, b = max(position, first), min(end, last)
            if a < b:
                region = None if missing is None else missing[..., a:b]
                out += flow.push(Frames(a, x1[..., a:b], region))
        position, i = end, i + 1
    out += flow.finish(total)
    joined = x1.clone()
    places = []
    for piece in out:
        places += range(piece.start, piece.start + piece.x.shape[-1])
        joined[..., piece.start : piece.start + piece.x.shape[-1]] = piece.x
    assert places == sorted(set(places))
    return joined, places


@given(
    frames=st.integers(1, 90),
    hop=st.sampled_from([1, 4, 8, 16]),
    smooth=st.booleans(),
    batch=st.sampled_from([1, 2, 5, 64]),
    inner=st.sampled_from(INNERS),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    damage=st.sampled_from(["half", "everything", "none"]),
    host=st.booleans(),
)
@example(frames=1, hop=16, inner=INNERS[0], smooth=True, damage="half", **ONE_BY_ONE)
@example(frames=17, hop=8, inner=INNERS[2], smooth=False, damage="everything", **ONE_BY_ONE)
def test_a_stream_equals_the_whole_file(frames, hop, smooth, batch, inner, sizes, damage, host):
    x1 = plane(2, 3, 4, frames)
    missing = {
        "half": plane(2, 1, 4, frames, seed=1) > 0,
        "everything": None,
        "none": torch.zeros(2, 1, 4, frames, dtype=torch.bool),
    }[damage]
    sampler = build(
        inner,
        window=16,
        hop=hop,
        weighting="smooth" if smooth else "uniform",
        batch=batch,
        state="host" if host else "device",
    )
    expected = run(sampler, mixing, x1, missing)
    restored, places = stream(sampler, mixing, x1, missing, sizes)
    assert places == list(range(frames))
    torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-6)


@given(
    frames=st.integers(20, 300),
    hop=st.sampled_from([4, 8, 16]),
    inner=st.sampled_from(INNERS),
    gaps=st.lists(st.tuples(st.integers(0, 290), st.integers(1, 30)), min_size=1, max_size=3),
    size=st.integers(1, 50),
    batch=st.sampled_from([1, 4]),
)
@example(frames=300, hop=8, inner=INNERS[0], gaps=[(0, 3), (297, 3)], size=7, batch=4)
def test_only_the_frames_that_the_sampler_needs_are_to_be_given(
    frames, hop, inner, gaps, size, batch
):
    missing = torch.zeros(1, 1, 4, frames, dtype=torch.bool)
    for first, count in gaps:
        missing[..., first : first + count] = True
    starts = sorted((a, min(a + n, frames)) for a, n in gaps if a < frames)
    sampler, x1 = build(inner, window=16, hop=hop, batch=batch), plane(1, 3, 4, frames)
    ranges = sampler.needed(tuple(starts))
    assert all(a % hop == 0 for a, _ in ranges)
    restored, _ = stream(sampler, mixing, x1, missing, [size], ranges)
    torch.testing.assert_close(restored, run(sampler, mixing, x1, missing), rtol=1e-5, atol=1e-6)


def test_what_is_needed_grows_with_the_gaps_alone():
    sampler = build(window=16, hop=8)
    gap = ((1000, 1010), (5000, 5001), (90_000, 90_016))
    assert sampler.needed(gap) == ((0, 16), (992, 1024), (4992, 5016), (89_992, 90_024))
    assert sampler.needed(()) == ((0, 16),)


@pytest.mark.parametrize(("steps", "m"), [(1, 2), (3, 2), (10, 2), (5, 4)])
def test_memory_does_not_grow_with_the_length(steps, m):
    """No more than m - 1 hops a step, and those being read, are ever in flight."""
    sampler = build(Ancestral.Config(steps=steps), window=16, hop=16 // m, batch=2)
    assert sampler.frames_held(1) == steps * (16 - 16 // m) + 2 * 16 // m + 16
    flow = sampler.stream(lambda state: state.xt, BRIDGE, Noise(0, 1, 2))
    most, piece = [], torch.zeros(1, 1, 2, 8)
    for k in range(100):
        flow.push(Frames(8 * k, piece, None))
        most.append(sum(len(hops) for hops in flow.flight))
    assert max(most) == max(most[: len(most) // 2]) <= (m - 1) * steps + 2


def test_every_batch_is_full_once_the_stream_flows():
    counting = Counting(torch.zeros(1))
    flow = build(ODE.Config(steps=3), batch=4).stream(counting, BRIDGE, Noise(0, 3, 4))
    for k in range(64):
        flow.push(Frames(8 * k, plane(1, 3, 4, 8), None))
    before = counting.calls, counting.windows
    for k in range(64, 128):
        flow.push(Frames(8 * k, plane(1, 3, 4, 8), None))
    assert counting.windows - before[1] == 4 * (counting.calls - before[0]) == 3 * 64


def test_windows_with_nothing_missing_are_not_evaluated_in_a_stream():
    x1, missing = plane(1, 3, 4, 200), torch.zeros(1, 1, 4, 200, dtype=torch.bool)
    missing[..., 100:110] = True
    whole, pieces = Counting(torch.zeros(1)), Counting(torch.zeros(1))
    run(build(), whole, x1, missing)
    stream(build(), pieces, x1, missing, [13])
    assert pieces.windows == whole.windows > 0


def test_the_work_that_is_told_adds_up_to_the_frames():
    told = []
    flow = build(batch=2).stream(lambda state: state.xt, BRIDGE, Noise(0, 3, 4), told.append)
    flow.push(Frames(0, plane(1, 3, 4, 64), None))
    flow.finish(64)
    assert sum(told) == pytest.approx(64)


def test_frames_left_out_must_be_whole_hops():
    flow = build().stream(mixing, BRIDGE, Noise(0, 3, 4))
    flow.push(Frames(0, plane(1, 3, 4, 20), None))
    with pytest.raises(ValueError, match=r"20 to 32 were omitted"):
        flow.push(Frames(32, plane(1, 3, 4, 8), None))
