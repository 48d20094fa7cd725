import pytest
import torch
from task_helpers import item, music, white

from a2sb_core.interfaces import (
    BlockPair,
    ConfigError,
    FrozenConfig,
    MaskCorruption,
    Noise,
    Recording,
    TaskError,
    blank,
    sample_ranges,
)
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


WAVEFORMS = ("declip", "denoise", "dereverb", "codec")
MASKS = ("bandwidth", "inpainting", "continuation")
PAIRS = [
    (first, second) for first in WAVEFORMS for second in (*WAVEFORMS, *MASKS) if first != second
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_any_two_tasks_damage_as_the_two_by_hand(first, second):
    both, generator = composite(first, second), torch.Generator().manual_seed(2)
    one, other = both.parts
    own = [part.draw(2.0, generator) for part in both.parts]
    parameters = both.Parameters(**own[0].model_dump() | own[1].model_dump())
    clean = item(Factorized.Config(n_fft=64, hop_length=16).build(), music(2 * RATE))
    wave = one.apply(clean.wave, own[0], Noise(NOISE.seed + 1, 3, 32), RATE)
    if second in MASKS:
        expected = other.observe(item(clean.representation, wave), own[1], NOISE).x1
    else:
        wave = other.apply(wave, own[1], Noise(NOISE.seed + 2, 3, 32), RATE)
        expected = clean.representation.encode(wave)
    assert torch.equal(both.degrade(clean, parameters, NOISE).x1, expected)
    for part, known in zip(both.parts, own, strict=True):
        assert part.describe(known) in both.describe(parameters)


def test_parameters_are_those_of_all_parts_and_need_not_be_known():
    both = composite("denoise", "bandwidth")
    fields = {"snr_db", "colour", "cutoff_hz", "edge_hz", "ceiling_hz", "present"}
    assert set(both.Parameters.model_fields) == fields
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
    masked = (
        Bandwidth.Config().build().observe(clipped, Bandwidth.Parameters(cutoff_hz=8000), NOISE)
    )
    assert degraded.missing is None
    assert torch.equal(degraded.x1, masked.x1)
    assert masked.missing.any() and not masked.missing.all()


def inspect(corruption, wave, rate=RATE, model_rate=RATE, **given):
    given = corruption.Parameters(**given) if given else None
    return corruption.inspect(Recording.of(wave, rate, model_rate), given)


def clipped(samples, channels=2):
    """Audio whose peaks were cut."""
    declip, wave = Declip.Config().build(), music(samples, channels)
    return declip.apply(wave, Declip.Parameters(drive_db=9), NOISE, RATE)


def test_each_part_finds_its_own_damage():
    both, spectrum = composite("declip", "bandwidth"), torch.fft.rfft(white(RATE))
    spectrum[:, 8000:] = 0
    found = inspect(both, torch.fft.irfft(spectrum, RATE))
    assert found.present == ("bandwidth",)
    assert found.cutoff_hz == pytest.approx(8000, rel=0.02)
    assert 7900 < found.edge_hz <= found.cutoff_hz
    assert inspect(both, white(RATE)) is None
    found = inspect(both, clipped(RATE), present=("declip",))
    assert (found.present, found.cutoff_hz) == (("declip",), None)


def test_clipping_is_found_at_the_rate_of_the_recording():
    """Resampling would smear the levels at which peaks were cut."""
    wave = clipped(48_000)
    for model_rate in (RATE, 16_000):
        found = inspect(composite("declip", "denoise"), wave, 48_000, model_rate)
        assert found.present == ("declip", "denoise")
        assert found.levels == tuple(wave.abs().amax(dim=-1).tolist())


def test_lost_samples_are_found_and_the_other_parts_do_not_see_them():
    wave = clipped(RATE)
    wave[:, 10_000:20_000] = float("nan")
    found = inspect(composite("declip", "inpainting"), wave)
    assert found.present == ("declip", "inpainting")
    assert found.gaps_s == (pytest.approx((10_000 / RATE, 20_000 / RATE), abs=2 / RATE),)
    wave[:, 10_000:20_000] = 0
    assert found.levels == tuple(wave.abs().amax(dim=-1).tolist())


def test_samples_that_were_not_clipped_come_back_to_the_bit():
    damaged = clipped(RATE)
    damaged[:, 10_000:20_000] = float("nan")
    both = composite("declip", "inpainting")
    found = inspect(both, damaged)
    ((first, end),) = sample_ranges(found.gaps_s, RATE)
    base, gap = blank(damaged, found.gaps_s, RATE), slice(first, end)
    restored = white(RATE, 2)
    blocks = (wave.split(7000, dim=-1) for wave in (restored, base))
    pairs = both.finisher(found, RATE).finish(map(BlockPair, *blocks))
    finished = torch.cat([pair.restored for pair in pairs], dim=-1)
    kept = base.abs() < 0.99 * torch.tensor(found.levels)[:, None]
    kept[:, gap] = False
    assert torch.equal(finished[kept], damaged[kept])
    assert torch.equal(finished[:, gap], restored[:, gap])


def test_the_result_has_the_highest_rate_that_a_part_needs():
    both = composite("declip", "bandwidth")
    parameters = both.Parameters(cutoff_hz=7000)
    assert both.output_rate(parameters, 16_000, RATE) == RATE
    without = both.Parameters(cutoff_hz=7000, present=("declip",))
    assert both.output_rate(without, 16_000, RATE) == 16_000


def test_words_marks_and_stretches_are_those_of_the_parts_that_are_there():
    both = composite("declip", "inpainting")
    all_of_it = both.Parameters(gaps_s=((0.1, 0.2),))
    assert both.stretches(all_of_it) is None
    assert both.marks(all_of_it).stretches_s == both.lost(all_of_it) == ((0.1, 0.2),)
    assert "; " in both.describe(all_of_it)
    gaps_only = both.Parameters(gaps_s=((0.1, 0.2),), present=("inpainting",))
    assert both.stretches(gaps_only) == ((0.1, 0.2),)
    assert "1 gap" in both.describe(gaps_only) and ";" not in both.describe(gaps_only)


def test_what_a_part_refuses_the_composite_refuses():
    with pytest.raises(TaskError, match="half the sample rate"):
        inspect(composite("declip", "bandwidth"), white(RATE), cutoff_hz=23_000)
    with pytest.raises(TaskError, match="whole audio"):
        inspect(composite("declip", "inpainting"), white(RATE), gaps_s=[(0, 1)])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("bandwidth", "declip"), "`bandwidth`"),
        (("declip", {"name": "mixture", "parts": [{"corruption": "declip"}]}), "`mixture`"),
        (("declip", "declip"), "`drive_db`"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(parts, message):
    with pytest.raises(ConfigError, match=message):
        composite(*parts)


def test_outside_a_model_a_mask_can_not_be_applied():
    both = composite("declip", "bandwidth")
    with pytest.raises(ConfigError, match="`bandwidth`"):
        both.apply(white(99), both.Parameters(), NOISE, RATE)


class Hum(MaskCorruption):
    """A mask whose parameters have defaults."""

    task = "hum"

    class Config(MaskCorruption.Config):
        name: str = "hum"

    class Parameters(FrozenConfig):
        row: int = 3

    def draw(self, duration_s, generator):
        return self.Parameters()

    def missing(self, grid, parameters):
        return (torch.arange(grid.shape[0]) == parameters.row)[:, None].expand(grid.shape)


def test_a_mask_that_found_nothing_leaves_the_audio_as_it_is():
    whole = Composite.Config(parts=(Declip.Config(), Hum.Config())).build()
    one = item(Factorized.Config().build(), white(9000))
    noise = Noise(3, 3, 1024)
    found = whole.Parameters(drive_db=12.0, present=("declip",))
    assert torch.equal(whole.observe(one, found, noise).x1, one.z)
    both = whole.Parameters(drive_db=12.0, present=("declip", "hum"))
    assert not torch.equal(whole.observe(one, both, noise).x1, one.z)
