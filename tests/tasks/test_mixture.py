import pytest
import torch
from task_helpers import item, music

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import Noise, Recording, TaskError
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.corruptions.mixture import Mixture
from a2sb_tasks.representations.factorized import Factorized


def mixture(*weights):
    corruptions = (Bandwidth.Config(), Inpainting.Config(fill_std=0.1))
    parts = [
        {"corruption": corruption, "weight": weight}
        for corruption, weight in zip(corruptions, weights, strict=True)
    ]
    return Mixture.Config(parts=parts).build()


def draws(corruption, count=600):
    return [corruption.draw(2.0, torch.Generator().manual_seed(seed)) for seed in range(count)]


@pytest.mark.parametrize("weights", [(1, 1), (0.2, 0.6), (9, 1)])
def test_parts_are_drawn_by_weight(weights):
    drawn = draws(mixture(*weights))
    share = sum(parameters.part == 0 for parameters in drawn) / len(drawn)
    assert share == pytest.approx(weights[0] / sum(weights), abs=0.06)
    kinds = {parameters.part: type(parameters.inner) for parameters in drawn}
    assert kinds == {0: Bandwidth.Parameters, 1: Inpainting.Parameters}


@pytest.mark.parametrize("method", ["degrade", "observe"])
def test_damage_is_that_of_the_part_drawn(method):
    both = mixture(1, 1)
    clean = item(Factorized.Config(n_fft=64, hop_length=16).build(), music(4410))
    noise = Noise(1, 3, 32)
    for parameters in draws(both, 8):
        part = both.parts[parameters.part]
        expected = getattr(part, method)(clean, parameters.inner, noise)
        found = getattr(both, method)(clean, parameters, noise)
        assert torch.equal(found.x1, expected.x1)
        assert torch.equal(found.missing, expected.missing)


def test_a_task_is_served_by_its_part():
    both = mixture(1, 1)
    assert both.tasks() == ("bandwidth", "inpaint")
    assert isinstance(both.for_task("bandwidth"), Bandwidth)
    served = both.for_task("inpaint")
    assert isinstance(served, Inpainting)
    assert served.config.fill_std == 0.1


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(TaskError, match=r"denoise.*bandwidth, inpaint"):
        mixture(1, 1).for_task("denoise")
    with pytest.raises(TaskError, match=r"inpaint.*bandwidth"):
        Bandwidth.Config().build().for_task("inpaint")


def test_mixtures_nest():
    inner = mixture(1, 1).config
    nested = Mixture.Config(parts=[{"corruption": inner}, {"corruption": "bandwidth"}]).build()
    assert nested.tasks() == ("bandwidth", "inpaint")
    assert isinstance(nested.for_task("inpaint"), Inpainting)
    clean = item(Factorized.Config(n_fft=64, hop_length=16).build(), music(4410))
    for parameters in draws(nested, 8):
        assert nested.degrade(clean, parameters, Noise(1, 3, 32)).missing is not None


def test_a_mixture_needs_parts_with_positive_weights():
    with pytest.raises(ConfigError, match="at least 1"):
        Mixture.Config(parts=[])
    with pytest.raises(ConfigError, match="greater than or equal to 0"):
        mixture(1, -1)


def test_a_mixture_is_asked_for_the_damage_of_one_part():
    both, recording = mixture(1, 1), Recording.of(torch.zeros(1, 44_100), 44_100)
    with pytest.raises(TaskError, match="bandwidth, inpaint"):
        both.inspect(recording)
    inner = Inpainting.Parameters(gaps_s=((0.1, 0.2),))
    given = both.Parameters(part=1, inner=inner)
    assert both.inspect(recording, given) == given
    assert both.stretches(given) == both.marks(given).stretches_s == inner.gaps_s
    too_long = Inpainting.Parameters(gaps_s=((0, 2),))
    with pytest.raises(TaskError, match="within"):
        both.inspect(recording, both.Parameters(part=1, inner=too_long))
