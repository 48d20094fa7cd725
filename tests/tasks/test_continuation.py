from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import white

from a2sb_core.interfaces import Recording, TaskError
from a2sb_tasks.corruptions.continuation import Continuation

RATE = 1000


def continuation(**fields):
    return Continuation.Config(**fields).build()


def gaps(*pairs):
    return Continuation.Parameters(gaps_s=pairs)


@pytest.mark.parametrize("sides", ["start", "end", "both"])
@given(duration_s=st.floats(0.01, 10), seed=st.integers(0, 9999))
def test_drawn_gaps_reach_the_edge_that_is_asked_for(sides, duration_s, seed):
    drawn = continuation(sides=sides).draw(duration_s, torch.Generator().manual_seed(seed))
    ((start, end),) = drawn.gaps_s
    at_start, at_end = start == 0, end == pytest.approx(duration_s)
    assert at_start != at_end
    assert sides == "both" or at_start == (sides == "start")
    assert end - start <= min(1.6, 0.7 * duration_s) * (1 + 1e-9)


def test_both_sides_are_drawn_about_as_often():
    corruption, generator = continuation(), torch.Generator().manual_seed(0)
    starts = sum(corruption.draw(3.0, generator).gaps_s[0][0] == 0 for _ in range(400))
    assert 150 < starts < 250


@given(
    before=st.integers(0, 300),
    after=st.integers(0, 300),
    size=st.integers(1, 400),
    rest=st.integers(3, 500),
)
def test_silent_edges_are_found_in_blocks_of_any_size(before, after, size, rest):
    music = white(rest, 2, seed=rest).abs() + 0.01
    music[:, rest // 3 : rest // 2] = 0  # silence within the music is left alone
    padded = torch.nn.functional.pad(music, (before, after))
    recording = Recording.of(padded, RATE)
    found = continuation().inspect(replace(recording, source=padded.split(size, dim=-1)))
    total = before + rest + after
    after += rest - int(music[0].nonzero()[-1]) - 1
    before += int(music[0].nonzero()[0])
    edges = [(0, before), (total - after, total)]
    expected = tuple((a / RATE, b / RATE) for a, b in edges if b - a >= 50)
    assert (found.gaps_s if found else ()) == expected


@pytest.mark.parametrize("wave", [torch.zeros(1, 500), white(500)])
def test_silence_alone_and_music_alone_give_nothing_to_continue(wave):
    assert continuation().inspect(Recording.of(wave, RATE)) is None


def test_a_gap_with_music_on_both_sides_is_refused():
    corruption, recording = continuation(), Recording.of(white(3 * RATE), RATE)
    known = gaps((0, 0.3), (2.5, 3))
    assert corruption.inspect(recording, known) == known
    for pair, word in (((1, 2), "both sides"), ((2.5, 3.5), "within")):
        with pytest.raises(TaskError, match=word):
            corruption.inspect(recording, gaps(pair))
