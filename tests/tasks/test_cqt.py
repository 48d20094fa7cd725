import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from task_helpers import music, plane, snr_db, white

from a2sb_core.errors import ConfigError
from a2sb_tasks.representations.cqt import CQT


def small(**fields):
    return CQT.Config(
        **{"rows": 48, "bins_per_octave": 12, "hop_length": 8, "power": 1, **fields}
    ).build()


def tone(hz, length=20_000, level=0.3):
    time_s = torch.arange(length, dtype=torch.float64) / 44100
    return (level * torch.cos(2 * math.pi * hz * time_s)).float()[None]


@given(length=st.integers(1, 700), seed=st.integers(0, 99), power=st.sampled_from([0.5, 1.0]))
@example(length=1, seed=0, power=0.5)
@example(length=8, seed=0, power=0.5)
@example(length=9, seed=0, power=1.0)
def test_audio_of_any_length_survives_to_100_db_from_dc_to_the_top(length, seed, power):
    cqt, wave = small(power=power), white(length, 2, seed) + 0.1
    z = cqt.encode(wave)
    assert z.shape == (2, 2, 48, cqt.frames(length))
    assert snr_db(wave, cqt.decode(z, length)) > 100


@pytest.mark.parametrize("wave", [white(30_001), music(30_001)], ids=["noise", "music"])
def test_the_default_and_the_longest_hop_are_exact_and_a_longer_one_is_refused(wave):
    for hop_length in (64, 67):
        cqt = CQT.Config(hop_length=hop_length).build()
        assert snr_db(wave, cqt.decode(cqt.encode(wave), 30_001)) > 100
    with pytest.raises(ConfigError, match=r"hop_length 68 is too long .* at most 67"):
        CQT.Config(hop_length=68)


@given(seed=st.integers(0, 99))
def test_encoding_what_was_decoded_is_a_projection(seed):
    cqt = small()
    length = 8 * 40
    z = plane(1, 2, 48, 41, seed=seed)
    once = cqt.encode(cqt.decode(z, length))
    torch.testing.assert_close(cqt.encode(cqt.decode(once, length)), once, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row", [10, 20, 33, 46])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_tone_has_its_amplitude_in_its_row_and_nothing_two_rows_away(row, power):
    cqt = small(power=power)
    hz = float(cqt.grid(1).freqs_hz[row])
    steady = cqt.encode(tone(hz)).norm(dim=1)[0, :, 1000:-1000]
    torch.testing.assert_close(
        steady[row], torch.full_like(steady[row], 0.3**power), rtol=1e-3, atol=0
    )
    others = torch.cat([steady[: row - 1], steady[row + 2 :]])
    assert float(others.max()) < 1e-3**power


def test_rows_are_even_on_a_musical_scale():
    cqt = CQT.Config().build()
    freqs_hz = cqt.grid(1).freqs_hz
    assert freqs_hz[0] == 0
    assert float(freqs_hz[-1]) == pytest.approx(22_050)
    quality = freqs_hz[1:-1] / (freqs_hz[2:] - freqs_hz[:-2])
    high = quality[freqs_hz[1:-1] > 5000]
    assert float(high.max() / high.min()) < 1.1


def test_a_click_lies_in_its_frame_and_higher_rows_see_it_shorter():
    cqt = small()
    click = torch.zeros(1, 9001)
    click[0, 4000] = 1
    power = cqt.encode(click).square().sum(dim=1)[0]
    assert float(cqt.grid(9001).times_s[power.sum(dim=0).argmax()]) == pytest.approx(4000 / 44100)
    away = (torch.arange(power.shape[-1]) - 500.0) ** 2
    spread = ((power * away).sum(dim=-1) / power.sum(dim=-1)).sqrt()
    assert spread[5] > 3 * spread[25] > 6 * spread[45]
