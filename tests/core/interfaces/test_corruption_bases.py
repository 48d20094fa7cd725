"""The two helper bases of corruptions, as an author uses them: one method each, besides drawing."""

import pytest
import torch
from pydantic import Field, ValidationError

from a2sb_core.interfaces import (
    ComponentConfig,
    FrozenConfig,
    Grid,
    Item,
    MaskCorruption,
    Noise,
    Representation,
    TaskError,
    WaveformCorruption,
)


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


class Blocks(Representation):
    """Frames of four samples; the samples are the rows, at 30, 60, 90 and 120 Hz."""

    channels, sample_rate, rows, stride, context = 1, 240, 4, 4, 0

    class Config(ComponentConfig):
        name: str = "blocks"

    def frames(self, length):
        return -(-length // 4)

    def encode(self, wave):
        return wave.unflatten(-1, (-1, 4)).mT[:, None]

    def decode(self, z, length):
        return z[:, 0].mT.flatten(-2)[:, :length]

    def grid(self, length):
        return Grid(240, 30.0 * torch.arange(1, 5), torch.arange(self.frames(length)) / 60, 1 / 60)


@pytest.fixture
def item():
    wave = torch.linspace(-1, 1, 40).reshape(2, 20)
    blocks = Blocks.Config().build()
    return Item(wave, blocks.encode(wave), blocks)


NOISE = Noise(0, 1, 4)


def test_an_item_has_the_grid_of_its_audio(item):
    assert item.grid.shape == (4, 5)


def test_a_mask_says_what_is_missing_and_the_base_does_the_rest(item):
    hum = Hum.Config().build()
    for method in (hum.degrade, hum.observe):
        degraded = method(item, Hum.Parameters(mains_hz=60), NOISE)
        assert degraded.missing.shape == (1, 1, 4, 5)
        assert degraded.missing[0, 0, :, 0].tolist() == [False, True, False, True]
        assert torch.equal(degraded.x1[:, :, ::2], item.z[:, :, ::2])
        fill = 0.5 * NOISE.at(0, 0, 5)
        assert torch.equal(degraded.x1[:, :, 1::2], fill[:, 1::2].expand(2, 1, 2, 5))


def test_the_level_of_the_fill_is_a_setting(item):
    parameters = Hum.Parameters(mains_hz=60)
    quiet = Hum.Config(fill_std=0.0).build().degrade(item, parameters, NOISE)
    assert not quiet.x1[:, :, 1::2].any()
    loud = Hum.Config(fill_std=1.0).build().degrade(item, parameters, NOISE)
    half = Hum.Config().build().degrade(item, parameters, NOISE)
    torch.testing.assert_close(loud.x1[:, :, 1::2], 2 * half.x1[:, :, 1::2])


def test_a_mask_without_settings_of_its_own_needs_no_config_of_masks(item):
    class Low(Hum):
        class Config(ComponentConfig):
            name: str = "low"

        def missing(self, grid, parameters):
            return (grid.freqs_hz < parameters.mains_hz)[:, None].expand(grid.shape)

    degraded = Low.Config().build().degrade(item, Low.Parameters(mains_hz=60), NOISE)
    assert degraded.missing[0, 0, :, 0].tolist() == [True, False, False, False]
    assert torch.equal(degraded.x1[0, :, 0], 0.5 * NOISE.at(0, 0, 5)[:, 0])


def test_damage_to_the_waveform_is_applied_in_training_and_taken_as_it_is_in_restoring(item):
    clipping, parameters = Clipping.Config().build(), Clipping.Parameters(level=0.3)
    kept = item.wave.clone()
    degraded = clipping.degrade(item, parameters, NOISE)
    assert degraded.missing is None
    assert torch.equal(degraded.x1, item.representation.encode(item.wave.clamp(-0.3, 0.3)))
    assert torch.equal(item.wave, kept)
    observed = clipping.observe(item, parameters, NOISE)
    assert observed.missing is None
    assert torch.equal(observed.x1, item.z)


@pytest.mark.parametrize("corruption", [Hum.Config().build(), Clipping.Config().build()])
def test_what_an_author_need_not_write(corruption):
    parameters = corruption.draw(1.0, torch.Generator().manual_seed(0))
    assert parameters == corruption.draw(1.0, torch.Generator().manual_seed(0))
    assert corruption.tasks() == (corruption.task,)
    assert corruption.for_task(corruption.task) is corruption
    assert corruption.stretches(parameters) is None
    corruption.check(parameters, 1.0, 44100)
    with pytest.raises(TaskError, match=f"can do: {corruption.task}"):
        corruption.for_task("other")
    field, = corruption.Parameters.model_fields
    with pytest.raises(TaskError, match=f"give it: {field}"):
        corruption.detect([torch.zeros(1, 9)], 44100)


def test_parameters_are_checked():
    with pytest.raises(ValidationError, match="greater than 0"):
        Clipping.Parameters(level=0)
    with pytest.raises(ValidationError, match="unknown field"):
        Clipping.Parameters(level=1, levels=2)


def test_what_must_be_written_is_asked_for():
    class Nothing(MaskCorruption):
        class Config(MaskCorruption.Config):
            name: str = "nothing"

    with pytest.raises(TypeError, match="abstract method missing"):
        Nothing.Config().build()
