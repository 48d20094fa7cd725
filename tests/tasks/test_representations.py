import math

import pytest
import torch
from task_helpers import music, plane, snr_db, white, without_lows

from a2sb_core.errors import ConfigError
from a2sb_tasks.representations.complex_stft import ComplexSTFT
from a2sb_tasks.representations.factorized import Factorized
from a2sb_tasks.representations.joint import Joint

BOTH = pytest.mark.parametrize("kind", [Factorized, ComplexSTFT])


def small(kind):
    return kind.Config(n_fft=64, hop_length=16).build()


@BOTH
@pytest.mark.parametrize("wave", [white(20001), music(20001)], ids=["noise", "music"])
def test_audio_without_lows_survives_encoding_to_100_db(kind, wave):
    representation, wave = kind.Config().build(), without_lows(wave)
    assert snr_db(wave, representation.decode(representation.encode(wave), 20001)) > 100


@BOTH
@pytest.mark.parametrize("wave", [white(9001), music(9001)], ids=["noise", "music"])
def test_only_the_dc_row_is_lost(kind, wave):
    representation = small(kind)
    lost = wave - representation.decode(representation.encode(wave), 9001)
    window = representation.window
    whole = torch.stft(wave, 64, 16, window=window, return_complex=True)
    whole[:, 1:] = 0
    dc = torch.istft(whole, 64, 16, window=window, length=9001)
    assert dc.square().mean().sqrt() > 1e-3
    assert snr_db(dc, lost) > 70
    assert snr_db(wave, wave - lost + dc) > 100


@BOTH
def test_grid_says_where_rows_and_frames_lie(kind):
    representation = kind.Config(n_fft=64, hop_length=16, sample_rate=8000).build()
    grid = representation.grid(800)
    assert grid.sample_rate == 8000
    assert grid.freqs_hz.tolist() == [125 * (k + 1) for k in range(32)]
    torch.testing.assert_close(grid.times_s.double(), torch.arange(51).double() * 0.002)
    assert grid.frame_s == 64 / 8000
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(800) / 8000)[None]
    spectrum = representation.spectrum(tone)[0].abs()
    assert grid.freqs_hz[spectrum[:, 25].argmax()] == 1000
    click = torch.zeros(1, 800)
    click[0, 400] = 1
    loudest = representation.spectrum(click)[0].abs().sum(dim=0).argmax()
    assert float(grid.times_s[loudest]) == pytest.approx(0.05)


@BOTH
def test_frame_times_stay_exact_in_hours_of_audio(kind):
    representation = kind.Config().build()
    times_s = representation.grid(3 * 3600 * 44100).times_s
    last = len(times_s) - 1
    assert abs(float(times_s[-1]) * 44100 - last * 512) < 0.01


def test_complex_stft_is_the_real_and_imaginary_part():
    representation, wave = small(ComplexSTFT), white(300)
    expected = torch.stft(wave, 64, 16, window=torch.hann_window(64), return_complex=True)[:, 1:]
    z = representation.encode(wave)
    assert torch.equal(z[:, 0], expected.real)
    assert torch.equal(z[:, 1], expected.imag)


def test_complex_stft_takes_any_array_as_it_is():
    z = plane(1, 2, 32, 5)
    assert torch.equal(small(ComplexSTFT).project(z), z)


@pytest.mark.parametrize("mid_side", [True, False])
def test_joint_encodes_consecutive_channels_as_one_item(mid_side):
    inner = {"name": "mdct", "rows": 32}
    joint = Joint.Config(inner=inner, mid_side=mid_side).build()
    wave = white(900, 4)
    z = joint.encode(wave)
    pairs = wave.unflatten(0, (2, 2))
    if mid_side:
        pairs = torch.stack([pairs.sum(dim=1), pairs[:, 0] - pairs[:, 1]], dim=1) / math.sqrt(2)
    expected = torch.stack([joint.inner.encode(pair)[:, 0] for pair in pairs])
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(joint.decode(z, 900), wave)


def test_joint_refuses_what_makes_no_sense():
    with pytest.raises(ConfigError, match="two audio channels"):
        Joint.Config(inner="mdct", audio_channels=3)
    with pytest.raises(ConfigError, match="one audio channel"):
        Joint.Config(inner={"name": "joint", "inner": "mdct"}).build()
