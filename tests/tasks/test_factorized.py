import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import music, plane, white

from a2sb_tasks.representations.factorized import Factorized


@pytest.fixture
def factorized():
    return Factorized.Config(n_fft=64, hop_length=16).build()


def test_encoding_equals_the_published_system(golden):
    numbers, factorized = golden("representation"), Factorized.Config().build()
    z, published = factorized.encode(numbers["wav"][None])[0], numbers["encoded"]
    magnitude, close = published[0] ** 4, {"rtol": 1e-4, "atol": 1e-6 * published[0].max() ** 4}
    torch.testing.assert_close(z[0] ** 4, magnitude, **close)
    # Phases are as exact as their bins are loud.
    torch.testing.assert_close(z[1:] * magnitude, published[1:] * magnitude, **close)


def test_decoding_of_invalid_phases_equals_the_published_system(golden):
    numbers, factorized = golden("representation"), Factorized.Config().build()
    wave = factorized.decode(numbers["noisy"][None], len(numbers["wav"]))[0]
    torch.testing.assert_close(wave, numbers["decoded_noisy"], rtol=1e-4, atol=1e-6)


def test_channels_are_compressed_magnitude_cosine_and_sine(factorized):
    wave = music(900)
    spectrum = torch.stft(wave, 64, 16, window=torch.hann_window(64), return_complex=True)[:, 1:]
    angle = torch.atan2(spectrum.imag, spectrum.real)
    expected = torch.stack([spectrum.abs() ** 0.25, angle.cos(), angle.sin()], dim=1)
    torch.testing.assert_close(factorized.encode(wave), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_the_power_is_undone(power):
    factorized = Factorized.Config(n_fft=64, hop_length=16, power=power).build()
    plain = Factorized.Config(n_fft=64, hop_length=16).build()
    wave = white(900)
    torch.testing.assert_close(
        factorized.decode(factorized.encode(wave), 900),
        plain.decode(plain.encode(wave), 900),
        rtol=1e-4,
        atol=1e-5,
    )
    expected = plain.spectrum(wave).abs() ** power
    torch.testing.assert_close(factorized.encode(wave)[:, 0], expected)


@given(scale=st.sampled_from([0.0, 1e-30, 1e-12, 1e-3, 1.0, 1e3]), length=st.integers(1, 300))
def test_encoding_gives_unit_phases_and_magnitudes_that_are_not_negative(scale, length):
    factorized = Factorized.Config(n_fft=64, hop_length=16).build()
    z = factorized.encode(scale * white(length))
    norm = z[:, 1] ** 2 + z[:, 2] ** 2
    torch.testing.assert_close(norm, torch.ones_like(norm), rtol=0, atol=1e-6)
    assert (z[:, 0] >= 0).all()


def test_a_negative_magnitude_is_silence_or_turns_the_phase_by_pi(factorized):
    signed = Factorized.Config(n_fft=64, hop_length=16, negative="signed").build()
    z = factorized.encode(white(900))
    turned = torch.cat([-z[:, :1], z[:, 1:]], dim=1)
    assert not factorized.decode(turned, 900).any()
    torch.testing.assert_close(signed.decode(turned, 900), -factorized.decode(z, 900))
    assert torch.equal(signed.decode(z, 900), factorized.decode(z, 900))
    assert torch.equal(signed.project(turned)[:, 0], turned[:, 0])


def test_silence_has_phase_zero_and_stays_silence(factorized):
    z = factorized.encode(torch.zeros(1, 200))
    assert torch.equal(z[:, 1], torch.ones_like(z[:, 1]))
    assert not z[:, 0].any()
    assert not z[:, 2].any()
    assert not factorized.decode(z, 200).any()


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 1.0, 50.0]))
def test_projection_is_the_nearest_rotation_by_svd(seed, scale):
    factorized = Factorized.Config(n_fft=16, hop_length=8).build()
    z = scale * plane(2, 3, 8, 5, seed=seed)
    _, x2, x3 = z.double().unbind(1)
    matrices = torch.stack([x2, -x3, x3, x2], dim=-1).unflatten(-1, (2, 2))
    u, _, vh = torch.linalg.svd(matrices)
    rotation = u @ vh
    projected = factorized.project(z)
    torch.testing.assert_close(projected[:, 1].double(), rotation[..., 0, 0], rtol=0, atol=1e-6)
    torch.testing.assert_close(projected[:, 2].double(), rotation[..., 1, 0], rtol=0, atol=1e-6)
    assert torch.equal(projected[:, 0], z[:, 0].clamp(min=0))


def test_projection_of_a_pair_of_zeros_is_phase_zero(factorized):
    z = torch.zeros(1, 3, 32, 2)
    assert factorized.project(z)[:, 1:, 0, 0].tolist() == [[1.0, 0.0]]


def test_phase_residual_is_equation_18(factorized):
    z = torch.zeros(1, 3, 32, 2)
    z[0, 1:, 0, 0] = torch.tensor([3.0, 4.0])
    z[0, 1:, 1, 0] = torch.tensor([0.6, 0.8])
    z[0, 1:, 2, 1] = torch.tensor([0.0, -0.5])
    residual = factorized.phase_residual(z)
    assert residual.shape == (1, 32, 2)
    assert residual[0, 0, 0] == 2 * (5 - 1) ** 2
    assert residual[0, 1, 0] == pytest.approx(0, abs=1e-12)
    assert residual[0, 2, 1] == 2 * 0.25
    assert residual[0, 3, 0] == 2
    assert factorized.phase_residual(factorized.project(z)).max() < 1e-12


def refining(iterations):
    return Factorized.Config(n_fft=64, hop_length=16, phase_iterations=iterations).build()


def damaged(length=1600):
    """Valid magnitudes, with wrong phases where content is missing: a gap, and the upper rows."""
    z = refining(0).encode(music(length))
    missing = torch.zeros(1, 1, *z.shape[2:], dtype=torch.bool)
    missing[..., 40:55] = True
    missing[:, :, 20:] = True
    turned = z.clone()
    turned[:, 1:] = refining(0).project(plane(*z.shape))[:, 1:]
    return torch.where(missing, turned, z), missing


def inconsistency(z, length=1600):
    """Distance between the bins of z and those of its own decoded audio."""
    factorized = refining(0)
    again = factorized.spectrum(factorized.decode(z, length))
    magnitude, cos, sin = z.unbind(1)
    return float((torch.complex(cos, sin) * magnitude**4 - again).abs().square().sum())


def test_refining_makes_phases_consistent():
    z, missing = damaged()
    values = [inconsistency(refining(n).refine(z, missing, 1600)) for n in (0, 1, 4, 16)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8 * values[0]


def test_refining_leaves_what_is_not_missing_and_all_magnitudes():
    z, missing = damaged()
    refined = refining(4).refine(z, missing, 1600)
    everywhere = missing.expand_as(z)
    assert torch.equal(refined[~everywhere], z[~everywhere])
    assert not torch.equal(refined, z)
    torch.testing.assert_close(refined[:, 0], z[:, 0], rtol=1e-4, atol=1e-6)
    norm = torch.hypot(refined[:, 1], refined[:, 2])
    torch.testing.assert_close(norm, torch.ones_like(norm), rtol=0, atol=1e-6)


def test_refining_keeps_the_magnitudes_of_bins_whose_phase_is_lost_in_audio():
    """A bin at half the sample rate with a phase of 90 degrees is silent in the audio."""
    z = torch.zeros(1, 3, 32, 101)
    z[:, 1] = 1
    z[:, :, -1] = torch.tensor([0.5, 0.0, 1.0])[None, :, None]
    everywhere = torch.ones(1, 1, *z.shape[2:], dtype=torch.bool)
    refined = refining(2).refine(z, everywhere, 1600)
    torch.testing.assert_close(refined[:, 0], z[:, 0], rtol=1e-4, atol=1e-6)


def test_no_iterations_and_nothing_missing_leave_everything_alone():
    z, missing = damaged()
    assert torch.equal(refining(0).refine(z, missing, 1600), z)
    assert torch.equal(refining(4).refine(z, None, 1600), z)
    assert torch.equal(refining(4).refine(z, torch.zeros_like(missing), 1600), z)
