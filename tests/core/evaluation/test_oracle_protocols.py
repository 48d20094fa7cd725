"""Protocols that mask the representation of clean clips, as the published code evaluates."""

import pytest
import torch
from engine_helpers import RATE, noise

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import TaskError
from a2sb_core.evaluation.protocols import audio_for_model, load_protocols
from a2sb_core.evaluation.systems import load_systems
from a2sb_core.interfaces import Grid
from a2sb_core.models.folder import save_model
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.declip import Declip
from a2sb_tasks.corruptions.inpainting import Inpainting


def damage(name, wave, file=None):
    return load_protocols([name], file)[0].damage(wave, RATE)


@pytest.fixture
def system(model, tmp_path):
    model_folder = save_model(model, tmp_path / "tiny")
    config = EvaluateConfig(
        source=tmp_path, output=tmp_path / "out", systems=(str(model_folder),), steps=(2,)
    )
    return load_systems(config)[1]


@pytest.mark.parametrize(
    ("oracle", "plain"), [("oracle-4k", "bandwidth-4k"), ("oracle-gap-300", "gap-300")]
)
def test_models_read_the_clean_clip_and_others_the_damaged_one(oracle, plain):
    wave = noise(4 * RATE)
    masked, damaged = damage(oracle, wave), damage(plain, wave)
    assert masked.clean is wave
    assert torch.equal(masked.wave, damaged.wave)
    assert damaged.clean is None
    assert dict(masked.parameters).items() >= dict(damaged.parameters).items()
    assert audio_for_model(masked, Bandwidth.Config().build()) is wave
    assert audio_for_model(damaged, Declip.Config().build()) is damaged.wave
    with pytest.raises(TaskError, match="`declip` of the model has no mask"):
        audio_for_model(masked, Declip.Config().build())


def test_a_row_at_the_cutoff_is_known_and_the_next_one_is_missing():
    freqs_hz = torch.arange(1, 1025) * 44100 / 2048
    grid = Grid(44100, freqs_hz, torch.zeros(1), 2048 / 44100)
    for khz, first in (("5.5125", 257), ("11.025", 513), ("4", 186)):
        values = damage(f"oracle-{khz}k", noise(RATE)).parameters
        corruption = Bandwidth.Config().build()
        missing = corruption.missing(grid, corruption.Parameters(**values))[:, 0]
        assert int(missing.sum()) == 1025 - first
        assert bool(missing[first - 1])


def test_frames_are_missing_whose_middle_lies_in_the_gap():
    values = damage("oracle-gap-300", noise(4 * RATE)).parameters
    corruption = Inpainting.Config().build()
    times_s = torch.arange(345, dtype=torch.float64) * 512 / 44100
    grid = Grid(44100, torch.ones(1), times_s, 2048 / 44100)
    parameters = corruption.Parameters(**values)
    (missing,) = corruption.missing(grid, parameters)
    assert torch.equal(missing, (times_s > 2.35) & (times_s < 2.65))
    assert corruption.lost(parameters) == ()
    assert corruption.stretches(parameters) == ((2.35, 2.65),)
    touched = corruption.Parameters(gaps_s=values["gaps_s"])
    assert int(corruption.missing(grid, touched).sum()) == int(missing.sum()) + 4


def test_nothing_above_the_cutoff_of_the_clean_clip_reaches_the_model(system):
    clean = noise(9000)
    bins = torch.fft.rfft(clean.double())
    bins[:, round(6000 * 9000 / RATE) :] *= -1  # as loud as before
    masked = damage("oracle-4k", clean)
    other = damage("oracle-4k", torch.fft.irfft(bins, 9000).float())
    one, two = (system.restore(d, RATE, "bandwidth").wave for d in (masked, other))
    assert float((masked.clean - other.clean).abs().max()) > 0.1
    inner = slice(1000, -1000)  # the ends of the clip are reflected
    change = (one - two)[:, inner].norm() / one[:, inner].norm()
    assert float(change) < 1e-3


def test_nothing_from_the_inside_of_a_gap_reaches_the_model(system):
    clean = noise(4 * RATE)
    other = clean.clone()
    other[:, round(2.2 * RATE) : round(2.8 * RATE)] *= -1
    one, two = (
        system.restore(damage("oracle-gap-1000", wave), RATE, "inpaint").wave
        for wave in (clean, other)
    )
    assert float((one - two).norm() / one.norm()) < 1e-3  # the loudness differs a little
    away = ~torch.zeros(4 * RATE, dtype=torch.bool)
    away[round(1.9 * RATE) : round(3.1 * RATE)] = False
    assert torch.equal(one[:, away], clean[:, away])


def test_protocols_of_a_file_mask_clean_clips_on_request(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "low: {corruption: bandwidth, parameters: {cutoff_hz: 3000}, clean: true}\n"
        "damaged: {corruption: bandwidth, parameters: {cutoff_hz: 3000}}\n"
    )
    wave = noise(RATE)
    assert damage("low", wave, file).clean is wave
    assert damage("damaged", wave, file).clean is None
    low, damaged = load_protocols(["low", "damaged"], file)
    assert low.identity == {**damaged.identity, "clean": True}
