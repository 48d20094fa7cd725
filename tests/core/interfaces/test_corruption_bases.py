"""The two helper bases of corruptions, as an author uses them: one method each, besides drawing."""

import enum
from typing import Annotated, ClassVar, Literal

import pytest
import torch
from pydantic import Field, ValidationError

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import (
    ComponentConfig,
    FrozenConfig,
    Item,
    Marks,
    MaskCorruption,
    Noise,
    Recording,
    TaskError,
    WaveformCorruption,
    check_stretches,
)
from a2sb_core.testing.parts import Spectra


class Hum(MaskCorruption):
    """A mains hum has swamped the rows near its harmonics."""

    task = "hum"

    class Config(MaskCorruption.Config):
        name: str = "hum"
        width_hz: float = 10.0

    class Parameters(FrozenConfig):
        mains_hz: float = Field(gt=0)

    def draw(self, duration_s, generator):
        return self.Parameters(mains_hz=50 + 10 * float(torch.rand((), generator=generator)))

    def missing(self, grid, parameters):
        order = (grid.freqs_hz / parameters.mains_hz).round()
        near = (grid.freqs_hz - order * parameters.mains_hz).abs() < self.config.width_hz
        return near[:, None].expand(grid.shape)


class Mode(enum.Enum):
    SOFT = "soft"
    HARD = "hard"


class Clipping(WaveformCorruption):
    """Samples beyond a level are cut off."""

    task = "declip"

    class Config(ComponentConfig):
        name: str = "clipping"

    class Parameters(FrozenConfig):
        level: float = Field(gt=0)

    def draw(self, duration_s, generator):
        return self.Parameters(level=0.1 + float(torch.rand((), generator=generator)))

    def apply(self, wave, parameters, noise, sample_rate):
        return wave.clamp(-parameters.level, parameters.level)


NOISE = Noise(0, 2, 3)
MAINS = Hum.Parameters(mains_hz=22_050)  # of which the rows at 0 Hz and 22 050 Hz are multiples


@pytest.fixture
def item():
    """Two channels in frames of four samples, with rows at 0, 11 025 and 22 050 Hz."""
    wave, spectra = torch.linspace(-1, 1, 40).reshape(2, 20), Spectra.Config(size=4).build()
    return Item(wave, spectra.encode(wave), spectra)


def test_a_mask_says_what_is_missing_and_the_base_does_the_rest(item):
    hum = Hum.Config().build()
    for method in (hum.degrade, hum.observe):
        degraded = method(item, MAINS, NOISE)
        assert degraded.missing.shape == (1, 1, 3, 5)
        assert degraded.missing[0, 0, :, 0].tolist() == [True, False, True]
        assert torch.equal(degraded.x1[:, :, 1], item.z[:, :, 1])
        fill = 0.5 * NOISE.at(0, 0, 5)[:, ::2]
        assert torch.equal(degraded.x1[:, :, ::2], fill.expand(2, 2, 2, 5))


def test_the_level_of_the_fill_is_a_setting(item):
    quiet, half, loud = (
        Hum.Config(fill_std=level).build().degrade(item, MAINS, NOISE).x1[:, :, ::2]
        for level in (0.0, 0.5, 1.0)
    )
    assert not quiet.any()
    torch.testing.assert_close(loud, 2 * half)


def test_a_mask_without_settings_of_its_own_needs_no_config_of_masks(item):
    class Low(Hum):
        class Config(ComponentConfig):
            name: str = "low"

        def missing(self, grid, parameters):
            return (grid.freqs_hz < parameters.mains_hz)[:, None].expand(grid.shape)

    degraded = Low.Config().build().degrade(item, MAINS, NOISE)
    assert degraded.missing[0, 0, :, 0].tolist() == [True, True, False]
    assert torch.equal(degraded.x1[0, :, 0], 0.5 * NOISE.at(0, 0, 5)[:, 0])


@pytest.mark.parametrize("corruption", [Hum.Config().build(), Clipping.Config().build()])
def test_what_an_author_need_not_write(corruption):
    parameters = corruption.draw(1.0, torch.Generator().manual_seed(0))
    assert parameters == corruption.draw(1.0, torch.Generator().manual_seed(0))
    assert corruption.tasks() == (corruption.task,)
    assert corruption.for_task(corruption.task) is corruption
    assert corruption.stretches(parameters) is None
    assert corruption.marks(parameters) == Marks()
    assert corruption.finisher(parameters, 44100) is None
    assert corruption.output_rate(parameters, 8000, 44100) == 8000
    with pytest.raises(TaskError, match=corruption.task):
        corruption.for_task("other")
    (field,) = corruption.Parameters.model_fields
    assert field in corruption.describe(parameters)
    recording = Recording.of(torch.zeros(1, 9), 44100)
    assert corruption.inspect(recording, parameters) is parameters
    if corruption.used is None:
        with pytest.raises(TaskError, match=field):
            corruption.inspect(recording)
    else:  # everything may change, so nothing need be known
        unknown = corruption.inspect(recording)
        assert isinstance(unknown, corruption.Parameters) and getattr(unknown, field) is None
        assert corruption.describe(unknown) == "restoring all of the audio"


def test_parameters_are_checked():
    with pytest.raises(ConfigError, match="greater than 0"):
        Clipping.Parameters(level=0)
    with pytest.raises(ConfigError, match="unknown field"):
        Clipping.Parameters(level=1, levels=2)


def test_what_must_be_written_is_asked_for():
    class Nothing(MaskCorruption):
        class Config(MaskCorruption.Config):
            name: str = "nothing"

    with pytest.raises(TypeError, match=r"abstract method '?missing"):
        Nothing.Config().build()


class Crush(WaveformCorruption):
    """Parameters of every kind that can be drawn."""

    task = "crush"
    ranges: ClassVar = {
        "bits": (3, 6),
        "size": (8, 16),
        "dither": (False, True),
        "curve": ("linear", "mu"),
        "mode": tuple(Mode),
        "gain_db": (-3.0, 3.0),
    }

    class Config(ComponentConfig):
        name: str = "crush"

    class Parameters(FrozenConfig):
        bits: Annotated[int, Field(ge=1)] | None
        size: Literal[8, 16]
        dither: bool
        curve: Literal["linear", "mu", "a"] | None = None
        mode: Mode = Mode.SOFT
        gain_db: float = Field(0.0, gt=-20)
        unused: int = 4

    def apply(self, wave, parameters, noise, sample_rate):
        return wave.clone()


def test_numbers_and_choices_are_drawn_from_their_ranges():
    crush, generator = Crush.Config().build(), torch.Generator().manual_seed(0)
    many = [crush.draw(1.0, generator) for _ in range(200)]
    seen = {name: {getattr(one, name) for one in many} for name in Crush.Parameters.model_fields}
    assert seen["bits"] == {3, 4, 5, 6} and all(type(bits) is int for bits in seen["bits"])
    assert seen["size"] == {8, 16} and seen["dither"] == {False, True}
    assert seen["curve"] == {"linear", "mu"} and seen["mode"] == set(Mode)
    assert len(seen["gain_db"]) > 100 and all(-3 <= gain <= 3 for gain in seen["gain_db"])
    assert seen["unused"] == {4}


def test_known_parameters_are_scaled_by_their_ranges():
    crush = Crush.Config().build()
    assert crush.scaled(crush.observed()) == {}
    known = crush.observed(bits=6, size=8, dither=True, curve="mu", gain_db=-30 / 4, unused=9)
    scaled = {"bits": 1, "size": -1, "dither": 1, "curve": 1, "gain_db": -1}
    assert crush.scaled(known) == scaled
    assert crush.scaled(crush.observed(bits=4)) == {"bits": pytest.approx(-1 / 3)}
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        crush.observed(bits=0)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"bits": (0, 0)}, "bits.*greater than or equal to 1"),
        ({"bit": (3, 4)}, "`bit`, which is no parameter"),
        ({"bits": (3, 4), "size": (8, 24)}, "size.*8 or 16"),
    ],
)
def test_a_range_that_does_not_fit_is_named(ranges, words):
    class Wrong(Crush):
        class Config(ComponentConfig):
            name: str = "wrong"

    Wrong.ranges = {"bits": (3, 4), "size": (8, 16), "dither": (False, True)} | ranges
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ConfigError, match=rf"`wrong`.*{words}"):
        for _ in range(20):
            Wrong.Config().build().draw(1.0, generator)


def test_stretches_that_overlap_count_once():
    recording = Recording.of(torch.zeros(1, 100), 100)
    check_stretches([(0.0, 0.6), (0.2, 0.8)], recording)
    for stretches in ([(0.0, 0.6), (0.5, 1.0)], [(0.5, 99999.0)]):
        with pytest.raises(TaskError):
            check_stretches(stretches, recording)
