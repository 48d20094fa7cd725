"""Autoregressive interpolation stays at the level of the audio, whatever the audio is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfiltfilt

import a2sb_core.demo
from a2sb_tasks.baselines.autoregressive import fill_between, interpolate, model_size

RATE = 8000
DEMO_CLIP = Path(a2sb_core.demo.__file__).with_name("clip.ogg")
ORDER, CONTEXT = 744, 2976


def brick_wall(wave, share=0.1):
    spectrum = np.fft.rfft(wave)
    spectrum[: int(share * len(spectrum))] = 0
    return np.fft.irfft(spectrum, len(wave))


def zero_phase(wave):
    return sosfiltfilt(butter(8, 0.05, "high", output="sos"), wave)


def in_16_bits(wave):
    return np.round(wave * 32767) / 32767


FILTERS = {
    "as it is": lambda wave: wave,
    "brick wall": brick_wall,
    "zero phase": zero_phase,
    "16 bits": lambda wave: in_16_bits(brick_wall(wave)),
}


def noise(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, 2 * RATE)


def demo_clip():
    wave, _ = soundfile.read(DEMO_CLIP, always_2d=True)
    return wave[: 2 * RATE, 0]


def power(wave):
    return np.mean(np.square(wave, dtype=np.float64))


@pytest.mark.parametrize("kept", list(FILTERS))
@pytest.mark.parametrize("sound", [noise, demo_clip])
@pytest.mark.parametrize(("before", "after"), [(7000, 7000), (150, 1300), (400, 400)])
def test_a_filled_gap_is_no_louder_than_its_surroundings(kept, sound, before, after):
    wave, length = FILTERS[kept](sound()).astype(np.float32), 800
    left, right = wave[7000 - before : 7000], wave[7000 + length : 7000 + length + after]
    filled = fill_between(left, right, length, ORDER, CONTEXT, 2)
    assert np.abs(filled).max() <= max(np.abs(left).max(), np.abs(right).max())
    assert power(filled) < 1.5 * max(power(left), power(right))


SOUNDS = {
    "silence": np.zeros_like,
    "constant": np.ones_like,
    "ramp": lambda n: n / 400,
    "impulse": lambda n: (n == 5).astype(float),
    "tone": np.sin,
    "alternating": lambda n: (-1) ** n,
    "clipped": lambda n: np.sign(np.sin(n / 7)),
    "growing": lambda n: np.exp(n / 10 - 40),
    "brick wall": lambda n: brick_wall(np.sin(n**2), 0.5),
}
LEVELS = (1.0, -1.0, 5e-324, 1e-310, 1e-40, 1e-12, 1e30, 1e308)


@st.composite
def sides(draw):
    """Two stretches of finite samples, also of other levels, or none."""
    return [
        SOUNDS[draw(st.sampled_from(list(SOUNDS)))](np.arange(draw(st.integers(1, 400))) + 0.0)
        * draw(st.sampled_from(LEVELS))
        for _ in range(2)
    ]


@settings(max_examples=60, deadline=None)
@given(sides(), st.integers(1, 300), st.integers(1, 200))
def test_finite_audio_gives_finite_audio(both, length, order):
    left, right = both
    peak = max(np.abs(left).max(), np.abs(right).max())
    filled = fill_between(left, right, length, order, 4 * order, 2)
    assert filled.shape == (length,)
    assert np.isfinite(filled).all() and np.abs(filled).max() <= peak


@pytest.mark.parametrize("zeros", [2, 8, 30, 60])
def test_ill_conditioned_equations_do_not_add_excitation(zeros):
    """A model with many zeros on the unit circle, as a spectral hole gives, is regularized."""
    model = np.poly(np.exp(1j * np.linspace(-1, 1, zeros))).real
    wave, gap = noise()[:1000], slice(400, 600)
    wave[gap] = 0
    silent = power(np.convolve(wave, model))
    wave[gap] = interpolate(wave, gap.start, gap.stop, model)
    assert power(np.convolve(wave, model)) <= silent


def test_cost_follows_the_length_of_the_gap():
    assert model_size(4410, 4096, 16384) == (4096, 16384)
    sizes = [np.prod(model_size(length, 4096, 16384)) for length in (1, 176, 882, 4410, 90_000)]
    assert sizes == sorted(sizes)
    assert sizes[1] < sizes[-1] / 10


FILL = """
import hashlib
import numpy as np
from a2sb_tasks.baselines.autoregressive import fill_between
wave = np.cumsum(np.random.default_rng(0).normal(size=40_000))
print(hashlib.sha256(fill_between(wave[:20_000], wave[20_500:], 500, 64, 16384, 2)).hexdigest())
"""


def test_the_bits_are_the_same_for_any_number_of_blas_threads():
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", FILL],
            text=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        )
        for threads in ("1", "2")
    ]
    one, two = (program.communicate()[0] for program in programs)
    assert all(program.returncode == 0 for program in programs)
    assert one == two != ""
