"""Damage that may change everything: clipping, noise, rooms and codecs."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import item, music, snr_db, white

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import BlockPair, Noise, Recording
from a2sb_tasks.corruptions.codec import Codec
from a2sb_tasks.corruptions.declip import Declip
from a2sb_tasks.corruptions.denoise import Denoise
from a2sb_tasks.corruptions.dereverb import Dereverb
from a2sb_tasks.representations.complex_stft import ComplexSTFT

RATE = 44100
NOISE = Noise(3, 2, 32)
EACH = pytest.mark.parametrize("kind", [Codec, Declip, Denoise, Dereverb])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def apply(kind, wave, noise=NOISE, rate=RATE, **parameters):
    return kind.Config().build().apply(wave, kind.Parameters(**parameters), noise, rate)


@EACH
def test_the_bridge_starts_from_the_damaged_audio_and_all_of_it_may_change(kind):
    representation = ComplexSTFT.Config(n_fft=64, hop_length=16).build()
    corruption, clean = kind.Config().build(), item(representation, music(4000, 2))
    parameters = corruption.draw(1.0, generator())
    degraded = corruption.degrade(clean, parameters, NOISE)
    damaged = corruption.apply(clean.wave, parameters, NOISE, RATE)
    assert degraded.missing is None
    assert torch.equal(degraded.x1, representation.encode(damaged))
    assert not torch.equal(degraded.x1, clean.z)


@EACH
def test_unknown_damage_is_no_damage(kind):
    wave = music(4000, 2)
    same = apply(kind, wave)
    assert torch.equal(same, wave)
    assert same.data_ptr() != wave.data_ptr()


@EACH
def test_silence_stays_silent(kind):
    corruption = kind.Config().build()
    for seed in range(4):
        parameters = corruption.draw(1.0, generator(seed))
        damaged = corruption.apply(torch.zeros(1, 9000), parameters, NOISE, RATE)
        assert float(damaged.abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Declip, {"low_db": 9, "high_db": 3}),
        (Denoise, {"low_db": 31}),
        (Dereverb, {"low_s": 2, "high_s": 1}),
        (Dereverb, {"low_db": 20}),
        (Codec, {"low": 0.9, "high": 0.1}),
    ],
)
def test_ranges_must_ascend(kind, fields):
    with pytest.raises(ConfigError, match=r"low\w* \([\d.]+\) must not exceed high"):
        kind.Config(**fields)


@given(drive_db=st.floats(0, 40), seed=st.integers(0, 99))
def test_clipping_cuts_what_exceeds_the_level_and_nothing_else(drive_db, seed):
    wave = white(300, 2, seed) * torch.tensor([[1.0], [0.1]])
    clipped = apply(Declip, wave, drive_db=drive_db)
    level = wave.abs().amax(dim=-1, keepdim=True) * 10 ** (-drive_db / 20)
    under = wave.abs() <= level
    assert torch.equal(clipped[under], wave[under])
    torch.testing.assert_close(clipped[~under], (wave.sign() * level)[~under])


def test_a_sine_at_half_its_height_has_the_power_of_the_clipped_sine():
    """By hand: the mean square over a quarter, (2/pi) (int_0^(pi/6) sin^2 + (pi/3)/4)."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    clipped = apply(Declip, torch.sin(2 * math.pi * 441 * time)[None], drive_db=20 * math.log10(2))
    expected = 2 / math.pi * (math.pi / 12 - math.sqrt(3) / 8 + math.pi / 12)
    assert float(clipped.square().mean()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("colour", ["white", "pink"])
@given(ratio_db=st.floats(-10, 60), seed=st.integers(0, 99))
def test_noise_has_the_ratio_that_is_asked_for_in_each_item(colour, ratio_db, seed):
    wave = white(3000, 2, seed).double() * torch.tensor([[1.0], [0.01]])
    noisy = apply(Denoise, wave, Noise(seed, 1, 1), snr_db=ratio_db, colour=colour)
    for k in range(2):
        assert snr_db(wave[k], noisy[k]) == pytest.approx(ratio_db, abs=0.01)


def test_pink_noise_falls_by_three_decibels_an_octave_and_white_noise_does_not():
    wave = white(1 << 17)
    for colour, fall_db in (("white", 0.0), ("pink", 3.01)):
        added = apply(Denoise, wave, snr_db=0.0, colour=colour) - wave
        power = torch.fft.rfft(added.double()).abs().square()[0]
        hz = RATE / (1 << 17)
        bands = [power[int(100 * 2**k / hz) : int(200 * 2**k / hz)].mean() for k in range(7)]
        falls = [float(10 * torch.log10(a / b)) for a, b in itertools.pairwise(bands)]
        assert sum(falls) / 6 == pytest.approx(fall_db, abs=0.2)


def test_the_seed_decides_the_noise_and_the_form_of_the_representation_does_not():
    wave = white(20_000)
    first, again, other = (
        apply(Denoise, wave, noise, snr_db=0.0)
        for noise in (Noise(5, 2, 32), Noise(5, 3, 1024), Noise(6, 2, 32))
    )
    assert torch.equal(first, again)
    assert abs(float(torch.corrcoef(torch.cat([first - wave, other - wave]))[0, 1])) < 0.03


@pytest.mark.parametrize("rt60_s", [0.3, 1.0])
@pytest.mark.parametrize("ratio_db", [-3.0, 10.0])
def test_the_response_has_the_decay_and_the_ratio_that_are_asked_for(rt60_s, ratio_db):
    click = torch.zeros(1, 2 * RATE, dtype=torch.float64)
    click[0, 100] = 1
    response = apply(Dereverb, click, rt60_s=rt60_s, drr_db=ratio_db)[0, 100:]
    assert float(response[0]) == pytest.approx(1, abs=1e-6)
    assert float(response[1:220].abs().max()) < 1e-6  # silence before the first reflection
    tail = response[1:].square()
    assert float(10 * torch.log10(1 / tail.sum())) == pytest.approx(ratio_db, abs=0.05)
    left_db = 10 * torch.log10(tail.flip(0).cumsum(0).flip(0) / tail.sum())  # Schroeder 1965
    late, early = (int((left_db > level).sum()) for level in (-25, -5))
    assert 3 * (late - early) / RATE == pytest.approx(rt60_s, rel=0.1)


def test_a_room_is_linear_and_does_not_move_the_sound():
    a, b = white(5000, seed=1).double(), white(5000, seed=2).double()
    room = {"rt60_s": 0.5, "drr_db": 3.0}
    one, other = (apply(Dereverb, wave, **room) for wave in (a, b))
    torch.testing.assert_close(apply(Dereverb, a + 2 * b, **room), one + 2 * other)
    late = torch.cat([torch.zeros(1, 700).double(), a[:, :-700]], dim=-1)
    torch.testing.assert_close(apply(Dereverb, late, **room)[:, 700:], one[:, :-700])


def test_drawn_rooms_cover_their_range_evenly_on_a_logarithmic_scale():
    dereverb = Dereverb.Config(low_s=0.1, high_s=10).build()
    rooms = [dereverb.draw(1.0, generator(seed)) for seed in range(300)]
    lengths = torch.tensor([room.rt60_s for room in rooms]).log10()
    assert -1 <= float(lengths.min()) < -0.97
    assert 0.97 < float(lengths.max()) <= 1
    assert float(lengths.mean()) == pytest.approx(0, abs=0.07)


def lag(truth, other):
    size = 2 * truth.shape[-1]
    product = torch.fft.rfft(other[0], size) * torch.fft.rfft(truth[0], size).conj()
    found = int(torch.fft.irfft(product, size).argmax())
    return found if found < size // 2 else found - size


@pytest.mark.parametrize("rate", [16_000, 44_100, 37_000])
@pytest.mark.parametrize("coding", ["mp3", "vorbis", "opus"])
def test_a_codec_keeps_the_time_and_loses_more_at_higher_compression(coding, rate):
    wave = music(2 * rate, 1, rate)
    worse = [apply(Codec, wave, rate=rate, coding=coding, compression=c) for c in (0.0, 1.0)]
    assert lag(wave, worse[0]) == 0
    kept = [snr_db(wave, one) for one in worse]
    assert kept[0] > kept[1] + 3
    assert kept[0] > 12


def test_a_strong_codec_empties_the_top_of_the_band():
    wave = white(RATE)
    coded = apply(Codec, wave, coding="mp3", compression=1.0)
    power = [torch.fft.rfft(x).abs().square()[0, 17_000:].sum() for x in (wave, coded)]
    assert power[1] < 1e-3 * power[0]


def test_every_codec_is_drawn():
    codec = Codec.Config(low=0.2, high=0.3).build()
    drawn = [codec.draw(1.0, generator(seed)) for seed in range(60)]
    assert {one.coding for one in drawn} == {"mp3", "vorbis", "opus"}
    assert all(0.2 <= one.compression <= 0.3 for one in drawn)


@EACH
def test_damage_need_not_be_known_to_be_restored(kind):
    representation = ComplexSTFT.Config(n_fft=64, hop_length=16).build()
    corruption = kind.Config().build()
    damaged = item(representation, music(4000).clamp(-0.1, 0.1))
    found = corruption.inspect(Recording.of(damaged.wave, RATE))
    observed = corruption.observe(damaged, found, NOISE)
    assert observed.missing is None
    assert torch.equal(observed.x1, damaged.z)


def test_samples_that_were_not_clipped_stay_and_the_others_grow():
    declip, clean = Declip.Config().build(), music(8000, 2) * torch.tensor([[1.0], [0.3]])
    damaged = apply(Declip, clean, drive_db=9.0)
    found = declip.inspect(Recording.of(damaged, 48_000, model_rate=RATE))
    assert found.levels == tuple(damaged.abs().amax(dim=-1).tolist())  # nothing was resampled
    cut, pair = damaged != clean, BlockPair(white(8000, 2), damaged)
    (finished,) = declip.finisher(found, 48_000).finish([pair])
    result = finished.restored
    assert torch.equal(result[~cut], damaged[~cut])
    assert (result.abs() >= damaged.abs()).all()
    assert (result.sign() == damaged.sign()).all()


@pytest.mark.parametrize("wave", [music(8000, 2), torch.zeros(1, 4000)])
def test_audio_that_is_not_clipped_needs_no_declipping(wave):
    assert Declip.Config().build().inspect(Recording.of(wave, RATE)) is None
