import math

import pytest
import torch
from task_helpers import music, plane, white

from a2sb_tasks.metrics.spectral import LSD, SiSpec

RATE = 44100


def lsd(truth, estimate, **fields):
    return LSD.Config(**fields).build().measure(truth, estimate, RATE)


def sispec(truth, estimate, **fields):
    return SiSpec.Config(**fields).build().measure(truth, estimate, RATE)


def magnitudes(wave, n_fft=2048, hop=512):
    """|STFT| frame by frame with numpy's FFT, zeros beyond the ends."""
    half = n_fft // 2
    padded = torch.nn.functional.pad(wave.double(), (half, half))
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(n_fft, dtype=torch.float64) / n_fft)
    frames = padded.unfold(-1, n_fft, hop) * window
    return torch.fft.rfft(frames).abs().mT


@pytest.mark.parametrize("wave", [white(9000), music(9000, 2), torch.zeros(1, 9000), white(10)])
def test_equal_recordings_are_at_the_limits(wave):
    assert lsd(wave, wave.clone()) == 0
    assert sispec(wave, wave.clone()) == 100


@pytest.mark.parametrize("factor", [2.0, 0.5, 10.0])
def test_a_gain_is_seen_by_lsd_and_not_by_sispec(factor):
    wave = white(9000)
    assert lsd(wave, factor * wave) == pytest.approx(2 * abs(math.log10(factor)), rel=1e-4)
    assert sispec(wave, factor * wave) == pytest.approx(100, abs=1e-6)


def test_lsd_is_equation_21_by_hand():
    truth, estimate = white(9000), white(9000, seed=1)
    a, b = magnitudes(truth)[0], magnitudes(estimate)[0]
    expected = torch.log10(a**2 / b**2).square().mean(dim=0).sqrt().mean()
    assert lsd(truth, estimate) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_sispec_is_equation_22_by_hand(exponent):
    truth, estimate = white(9000), music(9000)
    a, b = magnitudes(truth)[0] ** exponent, magnitudes(estimate)[0] ** exponent
    eta = (a * b).sum() * a / (a**2).sum()
    expected = 10 * torch.log10((eta**2).sum() / ((eta - b) ** 2).sum())
    assert sispec(truth, estimate, exponent=exponent) == pytest.approx(float(expected), abs=1e-3)


def test_lsd_counts_frames_alike():
    """Half of the frames ten times too loud: half of the distance of a gain by ten."""
    truth = white(64 * 512)
    estimate = truth.clone()
    estimate[:, 32 * 512 :] *= 10
    assert lsd(truth, estimate) == pytest.approx(1.0, abs=0.05)


def test_silence_counts_as_the_floor():
    truth = 1e-3 * white(9000)
    power = magnitudes(truth)[0].square()
    for floor in (1e-8, 1e-4):
        above = power.clamp(min=floor)
        expected = torch.log10(above / floor).square().mean(dim=0).sqrt().mean()
        distance = lsd(truth, torch.zeros_like(truth), floor=floor)
        assert distance == pytest.approx(float(expected), rel=1e-3)
        assert lsd(torch.zeros_like(truth), truth, floor=floor) == pytest.approx(distance)


def test_nothing_of_the_truth_is_the_lower_limit_of_sispec():
    assert sispec(white(9000), torch.zeros(1, 9000)) == -100
    assert sispec(torch.zeros(1, 9000), white(9000)) == -100


@pytest.mark.parametrize("measure", [lsd, sispec])
def test_channels_are_averaged(measure):
    truth, estimate = music(9000, 2), music(9000, 2) + 0.1 * plane(2, 9000)
    each = [measure(truth[k : k + 1], estimate[k : k + 1]) for k in (0, 1)]
    assert measure(truth, estimate) == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("measure", [lsd, sispec])
def test_stft_settings_and_type_of_the_audio(measure):
    truth, estimate = music(5000), music(5000) + 0.1 * plane(1, 5000)
    value = measure(truth, estimate)
    assert measure(truth.double(), estimate.double()) == pytest.approx(value, rel=1e-4)
    assert measure(truth, estimate, n_fft=256, hop_length=64) != pytest.approx(value, rel=1e-3)
