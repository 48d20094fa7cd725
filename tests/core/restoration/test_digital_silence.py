"""Silence inside a recording stays silent, and does not change the music beside it."""

import pytest
import torch
from engine_helpers import RATE, limited, model_config, noise
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.models.model import Model
from a2sb_core.restoration.digital_silence import MIRRORED, SilenceFiller
from a2sb_core.restoration.restorer import Restorer


def with_silence(*lengths):
    """Two channels of noise, silence, noise and so on; the second one is silent for longer."""
    wave, place = noise(sum(lengths), 2), 0
    for k, length in enumerate(lengths):
        if k % 2:
            wave[:, place : place + length] = 0
            wave[1, place : place + length + 50] = 0
        place += length
    return wave


def filled(wave, sizes, least=100):
    filler = SilenceFiller(len(wave), least)
    audio = torch.cat([filler.push(block) for block in wave.split(sizes, dim=-1)], dim=-1)
    return audio, filler.muted(torch.ones_like(wave))


@given(size=st.integers(1, 3000), lengths=st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_filling_does_not_depend_on_blocks(size, lengths):
    wave = with_silence(*lengths)
    whole, parts = (filled(wave, n) for n in (wave.shape[-1], size))
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one, other)


def test_a_long_stretch_is_filled_with_the_audio_before_it_and_muted():
    wave = with_silence(5000, 2000, 5000, 60, 1000)
    audio, change = filled(wave, 999)
    assert torch.equal(audio[:, :5100], wave[:, :5100])
    assert torch.equal(audio[:, 5100 + 256 : 7000], wave[:, 3100:4744].flip(-1))
    assert torch.equal(audio[:, 7050:12_000], wave[:, 7050:12_000])
    silent = change == 0
    assert silent[:, 5000:7000].all() and silent[1, 7000:7050].all()
    assert int(silent.sum()) == 2000 + 2050 + (60 + 50)  # of the short one, one channel only
    silence = torch.zeros(1, 5000)
    assert torch.equal(filled(silence, 700)[0], silence)


def test_silence_longer_than_the_audio_before_it_goes_back_and_forth():
    wave = torch.nn.functional.pad(noise(500), (0, 2 * MIRRORED))
    audio, _ = filled(wave, 10_000)
    level = audio[:, 1000:].unflatten(-1, (-1, 1)).square().mean().sqrt()
    assert float(level) == pytest.approx(float(wave[:, :500].square().mean().sqrt()), rel=0.05)


def test_silence_stays_and_the_music_beside_it_is_restored_as_without_it():
    torch.manual_seed(0)
    restorer = Restorer(Model(model_config(loudness_dbfs=-20.0)), "cpu", "fp32")
    asked = {"task": "bandwidth", "cutoff_hz": 4000.0}
    wave = limited(RATE // 2, 4000)
    padded = torch.nn.functional.pad(wave, (0, RATE // 2))
    alone, beside = (restorer.restore(x, RATE, **asked) for x in (wave, padded))
    assert not beside[:, RATE // 2 :].any()
    change = (x[:, : RATE // 2] - wave for x in (alone, beside))
    one, other = (float(x.square().mean().sqrt()) for x in change)
    assert one == pytest.approx(other, rel=0.1)
