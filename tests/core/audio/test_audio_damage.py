"""NaN, digital silence inside music, stuck samples and clicks: found where they are."""

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from audio_signals import tone
from hypothesis import given, settings
from hypothesis import strategies as st

from a2sb_core.audio import files
from a2sb_core.audio.damage import DETECTORS, find_gaps
from a2sb_core.audio.gap_lists import read_gaps
from a2sb_core.errors import AudioError

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import detection  # the same cases as the benchmark's

RATE = 44100


@pytest.fixture(scope="module")
def clip():
    with resources.as_file(resources.files("a2sb_core.cli") / "demo_clip.ogg") as path:
        wave, _ = files.read(path)
    return wave.astype(np.float32)


def found(wave, rate=RATE):
    return [
        (f.detector, round(f.start_s * rate), round(f.end_s * rate))
        for f in find_gaps([wave], rate)
    ]


def test_music_without_damage_has_none(clip):
    assert found(clip) == []


@pytest.mark.parametrize(("kind", "share"), [("nan", 1.0), ("silence", 1.0), ("stuck", 0.8)])
def test_damage_is_found_to_the_sample(clip, kind, share):
    """A value that is held and then left by no jump to speak of is not seen."""
    made, hit = 0, 0
    for seed in range(6):
        wave = clip.copy()
        places = detection.damaged(wave, RATE, kind, np.random.default_rng(seed))
        told = [f for f in found(wave) if f[0] == kind]
        near = [any(abs(a - s) <= 2 and abs(b - e) <= 2 for _, a, b in told) for s, e in places]
        assert sum(near) == len(told), (seed, places, told)
        made, hit = made + len(places), hit + len(told)
    assert hit >= share * made


def test_most_clicks_are_found_and_nothing_else(clip):
    made, hit, told = 0, 0, 0
    for seed in range(6):
        wave = clip.copy()
        places = detection.damaged(wave, RATE, "click", np.random.default_rng(seed))
        numbers = detection.count(wave, RATE, places)
        made, hit, told = made + numbers["made"], hit + numbers["hit"], told + numbers["told"]
        assert numbers["right"] == numbers["told"]
    assert hit >= 0.6 * made
    assert told <= made


def test_pauses_are_left_alone(clip):
    for seed in range(6):
        wave = clip.copy()
        detection.pause(wave, RATE, np.random.default_rng(seed))
        assert found(wave) == [], seed
    quiet = np.zeros((2, RATE), np.float32)
    assert found(np.concatenate([quiet, clip, quiet], axis=1)) == []
    assert found(quiet) == []


def test_silence_of_one_channel_is_its_own(clip):
    wave = clip.copy()
    wave[1] = 0
    assert found(wave) == []


def test_pulse_waves_and_clipping_are_sounds(clip):
    time = np.arange(2 * RATE) / RATE
    pulses = np.where((220 * time) % 1 < 0.3, 0.4, -0.2).astype(np.float32)[None]
    assert found(pulses) == []
    driven = np.clip(8 * clip, -0.9, 0.9)
    assert [f for f in found(driven) if f[0] == "stuck"] == []


def test_a_break_of_any_kind_is_told_once(clip):
    wave = clip.copy()
    wave[:, 50_000:51_000] = np.inf
    wave[:, 51_000:52_000] = 0
    assert len(found(wave)) == 1


@settings(max_examples=5, deadline=None)
@given(sizes=st.lists(st.integers(1, 400_000), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_block_sizes_change_nothing(sizes, seed):
    rng = np.random.default_rng(seed)
    wave = np.concatenate([tone(300, 0.3, 30 * RATE)[None] for _ in range(1)]).astype(np.float32)
    wave += 0.01 * rng.standard_normal(wave.shape).astype(np.float32)
    for kind in DETECTORS:
        detection.damaged(wave, RATE, kind, rng)
    wave[:, 19 * RATE : 22 * RATE] = np.nan  # over the border of two looks
    ends = np.cumsum(sizes)
    blocks = np.split(wave, ends[ends < wave.shape[1]], axis=1)
    assert find_gaps(blocks, RATE) == find_gaps([wave], RATE)
    assert ("nan", 19 * RATE, 22 * RATE) in found(wave)


@pytest.mark.parametrize("text", [
    "1.5,1.8\n2,3\n", "start,end\n2,3\n1.5,1.8\n", "1.5\t1.8\tscratch, left\n\\\t100\t200\n2\t3\n",
    "1,5\t1,8\n2\t3\n", "start;end\r\n1,5;1,8\r\n\r\n2;3\r\n", "\ufeff# mine\n1.5,1.8\n2,3,note\n",
    '"1.5","1.8"\n2,3\n',
])
def test_lists_of_gaps(tmp_path, text):
    (tmp_path / "gaps.txt").write_text(text, "utf-8")
    assert read_gaps(tmp_path / "gaps.txt") == ((1.5, 1.8), (2.0, 3.0))


@pytest.mark.parametrize(("text", "words"), [
    ("1,2\n3,2\n", "line 2: `3,2`"), ("1\n", "line 1"), ("1,2\nx,y\n", "line 2"),
    ("a,b\nc,d\n", "line 2"), ("", "holds no gaps"), ("start,end\n", "holds no gaps"),
    ("1\t1\tpoint\n", "line 1"), ("-1,2\n", "line 1"), ("nan,2\n", "line 1"), ("1,inf\n", "line 1"),
])
def test_wrong_lists_are_told_by_line(tmp_path, text, words):
    (tmp_path / "gaps.csv").write_text(text)
    with pytest.raises(AudioError, match=r"gaps\.csv") as caught:
        read_gaps(tmp_path / "gaps.csv")
    assert words in str(caught.value)


def test_lists_that_can_not_be_read(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe1\x00")
    for name in ("none.txt", "b.txt"):
        with pytest.raises(AudioError, match=f"{name} can not be read"):
            read_gaps(tmp_path / name)
