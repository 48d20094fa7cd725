import numpy as np
import pytest
from engine_helpers import RATE, noise, write_samples
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.config.training import AugmentConfig
from a2sb_core.training.data.augmentation import imitate_codec, speed_factor
from a2sb_core.training.data.segments import Segments
from a2sb_core.training.data.sources import TrainingFile

LENGTH = 4096


def segments(sources, **augment):
    return Segments(sources, LENGTH, RATE, 40, 0, augment=AugmentConfig(**augment))


def tone_file(folder, hz):
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
    return write_samples(folder / f"tone{hz}.wav", wave.astype(np.float32))


def pitch_hz(wave):
    spectrum = np.abs(np.fft.rfft(wave.numpy() * np.hanning(LENGTH), 16 * LENGTH))
    return float(spectrum.argmax() * RATE / (16 * LENGTH))


@given(semitones=st.floats(0.1, 12), seed=st.integers(0, 1000))
def test_speed_stays_in_its_range(semitones, seed):
    factor = speed_factor(semitones, np.random.default_rng(seed))
    assert 2 ** (-semitones / 12) <= factor <= 2 ** (semitones / 12)


def test_speed_moves_pitch_and_bandwidth_together(tmp_path):
    path = tone_file(tmp_path, 500)
    data = segments([TrainingFile(path, 2.0, 0.3 * RATE)], semitones=4)
    ratios = []
    for i in range(20):
        ratio = pitch_hz(data[i].wave) / 500
        assert data[i].max_hz == pytest.approx(ratio * 0.3 * RATE, rel=0.01)
        ratios.append(12 * np.log2(ratio))
    assert min(ratios) < -2 and max(ratios) > 2
    assert max(np.abs(ratios)) < 4.1


def test_a_mix_is_the_sum_of_two(tmp_path):
    low, high = tone_file(tmp_path, 300), tone_file(tmp_path, 900)
    sources = [TrainingFile(low, 2.0, 1500.0), TrainingFile(high, 2.0, 1000.0)]
    data = segments(sources, mix=1.0, mix_db=(-6.0, -6.0))
    levels = {}
    for i in range(40):
        segment = data[i]
        first, second = segment.origin.split(" + ")
        if (low.name in first) and (high.name in second):
            spectrum = np.abs(np.fft.rfft(segment.wave.numpy() * np.hanning(LENGTH)))
            peaks = [spectrum[round(hz * LENGTH / RATE)] for hz in (300, 900)]
            levels[i] = 20 * np.log10(peaks[1] / peaks[0])
            assert segment.max_hz == 1000
    assert len(levels) > 3
    assert np.median(list(levels.values())) == pytest.approx(-6, abs=1.5)


def test_the_codec_leaves_an_empty_top():
    wave = noise(LENGTH)[0].numpy()
    limited = imitate_codec(wave, RATE / 4, RATE)
    before, after = np.abs(np.fft.rfft(wave)), np.abs(np.fft.rfft(limited))
    below, above = slice(10, LENGTH // 8), slice(3 * LENGTH // 8, None)
    assert limited.dtype == np.float32
    assert np.abs(after[below] / before[below] - 1).max() < 0.1
    assert after[above].max() < 1e-3 * before[above].max()
    steps = limited * 32768
    assert np.array_equal(steps, np.rint(steps))


def test_a_share_of_segments_is_treated(tmp_path):
    path = write_samples(tmp_path / "noise.wav", noise(3 * RATE)[0].numpy())
    sources = [TrainingFile(path, 3.0, RATE / 2)]
    plain, coded = segments(sources), segments(sources, codec=0.5, codec_hz=(RATE / 4, RATE / 4))
    tops = [
        float(np.abs(np.fft.rfft(coded[i].wave.numpy()))[3 * LENGTH // 8 :].mean())
        / float(np.abs(np.fft.rfft(plain[i].wave.numpy()))[3 * LENGTH // 8 :].mean())
        for i in range(40)
    ]
    assert 10 <= sum(top < 0.1 for top in tops) <= 30


@pytest.mark.parametrize("name", ["mix_db", "codec_hz"])
def test_ranges_must_ascend(name):
    with pytest.raises(ValueError, match=f"{name}: its range must ascend"):
        AugmentConfig(**{name: (2.0, 1.0)})
