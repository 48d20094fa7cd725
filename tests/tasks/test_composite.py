import pytest
import torch
from task_helpers import item, music, white

from a2sb_core.interfaces import ConfigError, Noise, TaskError
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.composite import Composite
from a2sb_tasks.corruptions.declip import Declip
from a2sb_tasks.corruptions.dereverb import Dereverb
from a2sb_tasks.representations.factorized import Factorized

RATE = 44100
NOISE = Noise(3, 3, 32)


def composite(*parts):
    return Composite.Config(parts=parts).build()


def test_parts_are_applied_in_their_order():
    wave, room = music(9000, 2), {"rt60_s": 0.2, "drr_db": 0.0}
    clip = Declip.Config().build(), Declip.Parameters(drive_db=12)
    ring = Dereverb.Config().build(), Dereverb.Parameters(**room)
    for parts in ((clip, ring), (ring, clip)):
        both, expected = composite(*(part.config for part, _ in parts)), wave
        for number, (part, parameters) in enumerate(parts):
            noise = Noise(NOISE.seed + number + 1, 3, 32)
            expected = part.apply(expected, parameters, noise, RATE)
        parameters = both.Parameters(drive_db=12, **room)
        assert torch.equal(both.apply(wave, parameters, NOISE, RATE), expected)


def test_parameters_are_those_of_all_parts_and_need_not_be_known():
    both = composite("denoise", "bandwidth")
    assert set(both.Parameters.model_fields) == {"snr_db", "colour", "cutoff_hz"}
    drawn = both.draw(1.0, torch.Generator().manual_seed(1))
    assert 0 <= drawn.snr_db <= 30
    assert 2000 <= drawn.cutoff_hz <= 16_000
    unknown = both.Parameters()
    assert unknown.cutoff_hz is None
    clean = item(Factorized.Config(n_fft=64, hop_length=16).build(), music(4000))
    assert torch.equal(both.observe(clean, unknown, NOISE).x1, clean.z)


def test_a_mask_at_the_end_takes_rows_away_and_everything_may_change():
    both = composite("declip", "bandwidth")
    clean = item(Factorized.Config(n_fft=64, hop_length=16).build(), music(4000))
    parameters = both.Parameters(drive_db=12, cutoff_hz=8000)
    degraded = both.degrade(clean, parameters, NOISE)
    wave = Declip.Config().build().apply(clean.wave, Declip.Parameters(drive_db=12), NOISE, RATE)
    clipped = item(clean.representation, wave)
    masked = Bandwidth.Config().build().observe(
        clipped, Bandwidth.Parameters(cutoff_hz=8000), NOISE
    )
    assert degraded.missing is None
    assert torch.equal(degraded.x1, masked.x1)
    assert masked.missing.any() and not masked.missing.all()


def test_each_part_finds_and_settles_its_own():
    both, spectrum = composite("declip", "bandwidth"), torch.fft.rfft(white(RATE))
    spectrum[:, 8000:] = 0
    limited = torch.fft.irfft(spectrum, RATE)
    blocks = iter(limited.split(5000, dim=-1))  # can be looked at only once
    found = both.detect(blocks, RATE)
    assert found.cutoff_hz == pytest.approx(8000, rel=0.02)
    settled = both.settle(found, iter(limited.split(5000, dim=-1)), RATE)
    assert 7900 < settled.cutoff_hz <= found.cutoff_hz
    assert both.detect([white(RATE)], RATE).cutoff_hz is None
    holed = white(RATE)
    holed[:, 10_000:20_000] = float("nan")
    (gap,) = composite("declip", "inpainting").detect([holed], RATE).gaps_s
    assert gap == pytest.approx((10_000 / RATE, 20_000 / RATE), abs=2 / RATE)


def test_what_a_part_refuses_the_composite_refuses():
    both = composite("declip", "bandwidth")
    both.check(both.Parameters(), 1.0, RATE)
    with pytest.raises(TaskError, match="not below half the sample rate"):
        both.check(both.Parameters(cutoff_hz=23_000), 1.0, RATE)
    with pytest.raises(TaskError, match="cover the whole audio"):
        gaps = composite("declip", "inpainting")
        gaps.check(gaps.Parameters(gaps_s=[(0, 1)]), 1.0, RATE)


@pytest.mark.parametrize(("parts", "message"), [
    (("bandwidth", "declip"), "`bandwidth` can not stand there"),
    (("declip", {"name": "mixture", "parts": [{"corruption": "declip"}]}), "`mixture` can not"),
    (("declip", "declip"), "two parts have the parameter `drive_db`"),
])
def test_parts_that_do_not_go_together_are_refused(parts, message):
    with pytest.raises(ConfigError, match=message):
        composite(*parts)


def test_outside_a_model_a_mask_can_not_be_applied():
    both = composite("declip", "bandwidth")
    with pytest.raises(ConfigError, match="ends in the mask `bandwidth`"):
        both.apply(white(99), both.Parameters(), NOISE, RATE)
