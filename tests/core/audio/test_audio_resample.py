import math

import numpy as np
import pytest
import torch
from audio_signals import tone
from hypothesis import given, settings
from hypothesis import strategies as st

from a2sb_core.audio.resampling import StreamResampler, resample, resampled_length
from a2sb_core.errors import AudioError

RATES = st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000])


def random_wave(channels, samples, dtype=np.float32):
    return np.random.default_rng(samples).standard_normal((channels, samples)).astype(dtype)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(RATES, RATES, st.integers(0, 3000), st.integers(1, 3))
def test_the_length_is_the_ratio_rounded_up(from_rate, to_rate, samples, channels):
    wave = random_wave(channels, samples)
    result = resample(wave, from_rate, to_rate)
    assert result.shape == (channels, math.ceil(samples * to_rate / from_rate))
    assert result.dtype == wave.dtype
    assert np.isfinite(result).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(RATES, RATES, st.integers(0, 500), st.integers(0, 2000))
def test_a_length_asked_for_is_given(from_rate, to_rate, samples, length):
    natural = resample(random_wave(2, samples), from_rate, to_rate)
    result = resample(random_wave(2, samples), from_rate, to_rate, length)
    assert result.shape == (2, length)
    kept = min(length, natural.shape[1])
    np.testing.assert_array_equal(result[:, :kept], natural[:, :kept])
    assert not result[:, kept:].any()


def test_long_files_have_exact_lengths():
    assert resampled_length(44100 * 36000 + 1, 44100, 48000) == 48000 * 36000 + 2
    assert resampled_length(0, 44100, 48000) == 0


def test_equal_rates_return_the_very_input():
    wave = random_wave(2, 100)
    assert resample(wave, 44100, 44100) is wave
    tensor = torch.from_numpy(wave)
    assert resample(tensor, 44100, 44100, 100) is tensor


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 48000), (8000, 44100), (96000, 44100)])
def test_a_tone_keeps_its_place_and_level(from_rate, to_rate):
    wave = tone(1000, 0.5, from_rate, from_rate)[None]
    expected = tone(1000, 0.5, to_rate, to_rate)[None]
    result = resample(wave, from_rate, to_rate)
    inside = slice(to_rate // 10, -to_rate // 10)
    np.testing.assert_allclose(result[:, inside], expected[:, inside], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_tensor_gives_a_tensor_of_its_type(dtype):
    wave = torch.from_numpy(random_wave(2, 999)).to(dtype)
    result = resample(wave, 44100, 48000)
    assert result.dtype == dtype
    expected = resample(wave.float().numpy(), 44100, 48000)
    np.testing.assert_allclose(result.float().numpy(), expected, atol=2e-3)


def test_float64_keeps_its_precision():
    wave = tone(1000, 0.5, 44100)[None]
    back = resample(resample(wave, 44100, 96000), 96000, 44100)
    assert np.abs(back - wave)[:, 5000:-5000].max() < 1e-7


def test_the_input_is_not_changed():
    wave = random_wave(2, 1000)
    before = wave.copy()
    resample(wave, 44100, 8000, 50)[:] = 0
    np.testing.assert_array_equal(wave, before)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(RATES, RATES, st.lists(st.integers(0, 2000), max_size=8))
def test_blocks_give_what_the_whole_gives(from_rate, to_rate, sizes):
    wave = random_wave(2, sum(sizes))
    stream = StreamResampler(from_rate, to_rate, 2)
    pieces = np.split(wave, np.cumsum(sizes)[:-1], axis=1) if sizes else []
    results = [stream.push(piece) for piece in pieces] + [stream.finish()]
    np.testing.assert_allclose(
        np.concatenate(results, axis=1), resample(wave, from_rate, to_rate), atol=1e-6
    )


def test_a_stream_gives_what_is_ready():
    stream = StreamResampler(44100, 48000, 1)
    given_samples = sum(stream.push(random_wave(1, 4096)).shape[1] for _ in range(10))
    assert given_samples > 9 * 4096


def test_misuse_is_refused():
    wave = random_wave(2, 10)
    with pytest.raises(AudioError, match="sample rate"):
        resample(wave, 0, 44100)
    with pytest.raises(AudioError, match="negative"):
        resample(wave, 8000, 44100, -1)
    with pytest.raises(AudioError, match=r"\(channels, samples\)"):
        resample(wave[0], 8000, 44100)
    with pytest.raises(AudioError, match="2 channels"):
        StreamResampler(8000, 44100, 1).push(wave)
    stream = StreamResampler(8000, 44100, 2)
    stream.finish()
    for again in (stream.finish, lambda: stream.push(wave)):
        with pytest.raises(AudioError, match="finished"):
            again()
