"""NaN, silence, noise, stuck samples, repetitions and clicks: found where they are."""

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from audio_signals import tone
from hypothesis import given, settings
from hypothesis import strategies as st

from a2sb_core.audio import files
from a2sb_core.errors import AudioError
from a2sb_tasks.corruptions.gap_lists import read_gaps
from a2sb_tasks.detection.gaps import DETECTORS, find_gaps

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import detection  # the same cases as the benchmark's

RATE = 44100


@pytest.fixture(scope="module")
def clip():
    with resources.as_file(resources.files("a2sb_core.demo") / "clip.ogg") as path:
        wave, _ = files.read(path)
    return wave.astype(np.float32)


def found(wave, rate=RATE):
    return [
        (f.detector, round(f.start_s * rate), round(f.end_s * rate))
        for f in find_gaps([wave], rate)
    ]


def test_music_without_damage_has_none(clip):
    assert found(clip) == []


def in_steps(wave, bits, gain_db=0.0):
    return np.round(wave * 10 ** (gain_db / 20) * 2 ** (bits - 1)).astype(np.float32) / 2 ** (
        bits - 1
    )


@pytest.mark.parametrize("gain_db", [0, -12, -24, -36, -48])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_quantized_music_has_no_gaps(clip, bits, gain_db):
    assert found(in_steps(clip, bits, gain_db)) == []


def test_dropouts_of_coarsely_quantized_music_are_found(clip):
    wave = in_steps(clip, 8, 20 * np.log10(0.9 / np.abs(clip).max()))
    starts = [k * RATE for k in range(1, 6)]
    for start in starts:
        wave[:, start : start + 2000] = 0
    told = found(wave)
    assert len(told) >= 4
    assert all(any(abs(a - s) <= 2 and abs(b - s - 2000) <= 2 for s in starts) for _, a, b in told)


def test_brief_dropouts_are_found_whole(clip):
    wave, length = clip.copy(), round(0.001 * RATE)
    starts = [RATE + k * RATE // 20 for k in range(60)]
    for start in starts:
        wave[:, start : start + length] = 0
    told = found(wave)
    assert sum(any(a <= s and s + length <= b for _, a, b in told) for s in starts) >= 57
    assert all(b - a <= length + 4 for _, a, b in told)


@pytest.mark.parametrize(
    ("kind", "share"),
    [("nan", 1.0), ("silence", 1.0), ("noise", 0.9), ("stuck", 0.8), ("repeat", 0.8)],
)
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
    made, hit = 0, 0
    for seed in range(6):
        wave = clip.copy()
        places = detection.damaged(wave, RATE, "click", np.random.default_rng(seed))
        numbers = detection.count(wave, RATE, places)
        made, hit = made + numbers["made"], hit + numbers["hit"]
        assert numbers["right"] == numbers["findings"] <= numbers["made"]
    assert hit >= 0.6 * made


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


@pytest.mark.parametrize("level", [0.4, 0.0])
@pytest.mark.parametrize("freq_hz", [55, 110, 220])
def test_periodic_sounds_are_no_repetition(level, freq_hz):
    """Notes of whole periods, whose samples recur exactly, between pauses."""
    period = round(RATE / freq_hz)
    ramp = np.linspace(-0.4, 0.4, period)
    pulse = np.where(np.arange(period) < period // 5, 0.4, level - 0.4)
    notes = [np.tile(shape, RATE // 3 // period) for shape in (ramp, pulse, -ramp)]
    rest = np.zeros(RATE // 10)
    wave = np.concatenate([part for note in notes for part in (rest, note, np.flip(note), note)])
    told = found(np.concatenate([wave, rest])[None].astype(np.float32))
    assert [f for f in told if f[0] in ("repeat", "noise")] == []


def test_an_echo_in_a_rest_is_no_noise(clip):
    wave = clip.copy()
    for start in range(RATE, 6 * RATE, RATE):
        length = RATE // 5
        echo = wave[:, start - length : start] * np.exp(-np.arange(length) / 4000)
        wave[:, start : start + length] = 0.02 * echo
    assert [f for f in found(wave) if f[0] != "click"] == []


@pytest.mark.parametrize("rate", [1, 100, 400, 8000, 192_000])
@pytest.mark.parametrize("samples", [1, 2, 100, 5000])
def test_any_rate_and_length(rate, samples):
    rng = np.random.default_rng(samples)
    wave = rng.normal(0, 0.1, (2, samples)).astype(np.float32)
    wave[:, samples // 3 : samples // 2] *= 1e-4
    assert all(0 <= a < b <= samples for _, a, b in found(wave, rate))
    assert found(np.zeros_like(wave), rate) == []


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


@pytest.mark.parametrize(
    "text",
    [
        "1.5,1.8\n2,3\n",
        "start,end\n2,3\n1.5,1.8\n",
        "1.5\t1.8\tscratch, left\n\\\t100\t200\n2\t3\n",
        "1,5\t1,8\n2\t3\n",
        "start;end\r\n1,5;1,8\r\n\r\n2;3\r\n",
        "\ufeff# mine\n1.5,1.8\n2,3,note\n",
        '"1.5","1.8"\n2,3\n',
    ],
)
def test_lists_of_gaps(tmp_path, text):
    (tmp_path / "gaps.txt").write_text(text, "utf-8")
    assert read_gaps(tmp_path / "gaps.txt") == ((1.5, 1.8), (2.0, 3.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,2\n", "line 2: `3,2`"),
        ("1\n", "line 1"),
        ("1,2\nx,y\n", "line 2"),
        ("a,b\nc,d\n", "line 2"),
        ("", "no gaps"),
        ("start,end\n", "no gaps"),
        ("1\t1\tpoint\n", "line 1"),
        ("-1,2\n", "line 1"),
        ("nan,2\n", "line 1"),
        ("1,inf\n", "line 1"),
    ],
)
def test_wrong_lists_are_told_by_line(tmp_path, text, words):
    (tmp_path / "gaps.csv").write_text(text)
    with pytest.raises(AudioError, match=r"gaps\.csv") as caught:
        read_gaps(tmp_path / "gaps.csv")
    assert words in str(caught.value)


def test_lists_that_can_not_be_read(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe1\x00")
    for name in ("none.txt", "b.txt"):
        with pytest.raises(AudioError, match=f"{name} cannot be read"):
            read_gaps(tmp_path / name)
