import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import music, plane, snr_db, white

from a2sb_core.errors import ConfigError
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.representations.mdct import MDCT

WINDOWS = pytest.mark.parametrize("window", ["sine", "kbd"])


def small(**fields):
    return MDCT.Config(**{"rows": 8, "power": 1, **fields}).build()


@WINDOWS
def test_values_are_the_sum_of_the_definition(window):
    mdct, wave, rows = small(window=window), white(50), 8
    n, m = torch.arange(16).double(), torch.arange(8).double()
    cosines = torch.cos(math.pi / rows * (n[:, None] + (rows + 1) / 2) * (m + 0.5))
    padded = torch.nn.functional.pad(wave.double(), (8, 14))
    expected = torch.stack(
        [
            math.sqrt(2 / rows) * (padded[0, 8 * k : 8 * k + 16] * mdct.window) @ cosines
            for k in range(mdct.frames(50))
        ],
        dim=-1,
    )
    torch.testing.assert_close(mdct.encode(wave)[0, 0].double(), expected, rtol=1e-5, atol=1e-6)


@WINDOWS
@given(length=st.integers(1, 200), seed=st.integers(0, 99))
def test_the_basis_is_orthonormal(window, length, seed):
    """Energy is kept, and decoding is the adjoint of encoding."""
    mdct, wave = small(window=window), white(length, seed=seed)
    z = mdct.encode(wave)
    torch.testing.assert_close(z.square().sum(), wave.square().sum(), rtol=1e-5, atol=1e-6)
    y = plane(*z.shape, seed=seed + 1)
    torch.testing.assert_close(
        (y * z).sum(), (mdct.decode(y, length) * wave).sum(), rtol=1e-4, atol=1e-4
    )


@WINDOWS
@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("wave", [white(9001, 2), music(9001, 2)], ids=["noise", "music"])
def test_audio_survives_to_100_db_with_its_lowest_frequencies(window, power, wave):
    mdct = MDCT.Config(window=window, power=power).build()
    wave = wave + 0.1
    assert snr_db(wave, mdct.decode(mdct.encode(wave), 9001)) > 100


@WINDOWS
def test_the_window_obeys_the_condition_of_princen_and_bradley(window):
    w = small(rows=64, window=window).window
    torch.testing.assert_close(w[:64] ** 2 + w[64:] ** 2, torch.ones(64))
    torch.testing.assert_close(w, w.flip(0))


def test_kbd_keeps_a_tone_further_from_the_other_rows():
    tone = torch.sin(2 * torch.pi * 2000.3 * torch.arange(44100).double() / 44100).float()[None]
    far = {}
    for window in ("sine", "kbd"):
        z = MDCT.Config(window=window, power=1).build().encode(tone)[0, 0, :, 5:-5]
        far[window] = float(z[130:].square().sum() / z.square().sum())
    assert far["kbd"] < 0.1 * far["sine"]


def test_compression_takes_the_root_and_keeps_the_sign():
    z, compressed = (small(power=power).encode(white(99)) for power in (1, 0.5))
    torch.testing.assert_close(compressed.abs() ** 2, z.abs(), rtol=1e-5, atol=1e-7)
    assert torch.equal(compressed.sign(), z.sign())


def test_a_tone_lies_in_the_row_of_its_frequency_and_a_click_in_its_frame():
    mdct = MDCT.Config(rows=64, sample_rate=8000, power=1).build()
    grid = mdct.grid(8000)
    assert grid.freqs_hz[0] == 31.25
    assert grid.frame_s == 128 / 8000
    tone = torch.sin(2 * torch.pi * 1031.25 * torch.arange(8000) / 8000)[None]
    energy = mdct.encode(tone)[0, 0].square().sum(dim=-1)
    assert float(grid.freqs_hz[energy.argmax()]) == 1031.25
    click = torch.zeros(1, 8000)
    click[0, 3200] = 1
    energy = mdct.encode(click)[0, 0].square().sum(dim=0)
    assert float(grid.times_s[energy.argmax()]) == pytest.approx(0.4)


@pytest.mark.parametrize("gap", [(0.1003, 0.2004), (0.1003, 0.1111)])
def test_every_frame_that_a_gap_changes_is_missing_and_no_other(gap):
    mdct, wave = MDCT.Config(rows=16, sample_rate=1600, power=1).build(), white(1600)
    silenced = wave.clone()
    silenced[:, math.floor(gap[0] * 1600) : math.ceil(gap[1] * 1600)] = 0
    changed = (mdct.encode(wave) - mdct.encode(silenced)).abs().amax(dim=(0, 1, 2)) > 1e-6
    corruption = Inpainting.Config().build()
    missing = corruption.missing(mdct.grid(1600), Inpainting.Parameters(gaps_s=(gap,)))[0]
    assert torch.equal(missing, changed)


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_rows_must_be_even(rows):
    with pytest.raises(ConfigError, match="rows"):
        MDCT.Config(rows=rows)
