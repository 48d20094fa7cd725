import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from task_helpers import music, plane, snr_db, white, without_lows

from a2sb_tasks.representations.complex_stft import ComplexSTFT
from a2sb_tasks.representations.factorized import Factorized

BOTH = pytest.mark.parametrize("kind", [Factorized, ComplexSTFT])


def small(kind):
    return kind.Config(n_fft=64, hop_length=16).build()


@BOTH
@pytest.mark.parametrize("wave", [white(9001), music(9001)], ids=["noise", "music"])
def test_splice_of_what_was_encoded_gives_the_input_back_exactly(kind, wave):
    representation = small(kind)
    z = representation.encode(wave)
    again = representation.encode(wave)
    change = representation.decode(z, 9001) - representation.decode(again, 9001)
    assert torch.equal(wave + change, wave)


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
@given(length=st.integers(1, 400), batch=st.integers(1, 3))
@example(length=1, batch=1)
@example(length=32, batch=2)
@example(length=33, batch=1)
@example(length=64, batch=1)
def test_any_length_keeps_its_length_and_fits_its_grid(kind, length, batch):
    representation, wave = small(kind), white(length, batch)
    z = representation.encode(wave)
    grid = representation.grid(length)
    assert z.shape[:2] == (batch, representation.channels)
    assert z.shape[2:] == (representation.rows, representation.frames(length)) == grid.shape
    decoded = representation.decode(z, length)
    assert decoded.shape == (batch, length)
    assert torch.isfinite(decoded).all()


@BOTH
def test_items_of_a_batch_do_not_touch_each_other(kind):
    representation, wave = small(kind), music(700, batch=3)
    z = representation.encode(wave)
    for k in range(3):
        alone = representation.encode(wave[k : k + 1])
        torch.testing.assert_close(z[k : k + 1], alone, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            representation.decode(z, 700)[k : k + 1], representation.decode(alone, 700),
            rtol=1e-5, atol=1e-6,
        )


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


@BOTH
def test_a_frame_depends_on_no_more_than_its_context(kind):
    representation, wave = small(kind), white(1600)
    moved = wave.clone()
    moved[0, 800] += 1
    changed = (representation.encode(wave) != representation.encode(moved)).flatten(0, 2).any(dim=0)
    touched = changed.nonzero().flatten() * representation.stride
    assert len(touched)
    assert ((touched - 800).abs() <= representation.context).all()


@BOTH
def test_float32_stays_float32_and_inputs_stay_as_they_are(kind):
    representation, wave = small(kind), music(500)
    z = representation.encode(wave)
    kept_wave, kept_z = wave.clone(), z.clone()
    missing = torch.ones(1, 1, *z.shape[2:], dtype=torch.bool)
    results = [
        representation.encode(wave), representation.decode(z, 500), representation.project(z),
        representation.refine(z, missing, 500),
    ]
    assert all(result.dtype == torch.float32 for result in results)
    assert torch.equal(wave, kept_wave)
    assert torch.equal(z, kept_z)


def test_complex_stft_is_the_real_and_imaginary_part():
    representation, wave = small(ComplexSTFT), white(300)
    expected = torch.stft(wave, 64, 16, window=torch.hann_window(64), return_complex=True)[:, 1:]
    z = representation.encode(wave)
    assert torch.equal(z[:, 0], expected.real)
    assert torch.equal(z[:, 1], expected.imag)


def test_complex_stft_takes_any_array_as_it_is():
    z = plane(1, 2, 32, 5)
    assert torch.equal(small(ComplexSTFT).project(z), z)
