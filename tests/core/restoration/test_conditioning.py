"""Parameters of the damage on which the network is conditioned, and those that nothing uses."""

import numpy as np
import pytest
import torch
from engine_helpers import model_config, noise, train_config, write_audio

from a2sb_core import Chain, RestoreOptions
from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.evaluation.protocols import load_protocols
from a2sb_core.interfaces import State
from a2sb_core.models.folder import save_model
from a2sb_core.models.model import Model
from a2sb_core.restoration.damage import used_only
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.training.data.segments import Segment
from a2sb_core.training.trainer import Trainer
from a2sb_core.training.training_batch import make_batch, segment_generators

RATE = 44100
PARTS = {
    "alone": "denoise",
    "mixture": {"name": "mixture", "parts": [{"corruption": "declip"}, {"corruption": "denoise"}]},
    "composite": {"name": "composite", "parts": ["declip", "denoise"]},
}


def config(corruption="denoise", names=("snr_db",), **changes):
    backbone = {**model_config().backbone.model_dump(), "dropout": 0.0}
    prediction = {"name": "paper", "tell": "known"}
    parts = {"corruption": corruption, "prediction": prediction, "backbone": backbone}
    return model_config(**parts | changes, condition_on=names)


def restorer(*given, **changes):
    torch.manual_seed(0)
    return Restorer(Model(config(*given, **changes)), "cpu", "fp32")


@pytest.mark.parametrize("holder", PARTS)
def test_a_known_parameter_reaches_the_network_and_an_unknown_one_is_told_apart(holder):
    other, wave = restorer(PARTS[holder]), noise(4000)
    task = "composite" if holder == "composite" else "denoise"
    unknown, *known = (
        other.restore(wave, RATE, task=task, **given)
        for given in ({}, {"snr_db": 3}, {"snr_db": 15}, {"snr_db": 25})
    )
    for one, other_one in ((0, 1), (1, 2)):
        assert not torch.allclose(known[one], known[other_one], atol=1e-6)
    # 15 dB is the middle of the range, whose value equals that of an unknown one.
    assert not torch.allclose(known[1], unknown, atol=1e-6)


@pytest.mark.parametrize(
    ("corruption", "names", "given", "uses"),
    [
        ("denoise", (), {"snr_db": 3}, "none"),
        ("denoise", ("snr_db",), {"snr_db": 3, "colour": "pink"}, "snr_db"),
        ("declip", (), {"drive_db": 3}, "levels"),
        ("dereverb", ("drr_db",), {"rt60_s": 0.3}, "drr_db"),
        ("codec", (), {"coding": "mp3"}, "none"),
        (PARTS["composite"], ("snr_db",), {"drive_db": 3}, "levels, snr_db, present"),
    ],
)
def test_a_parameter_that_changes_nothing_is_refused(corruption, names, given, uses):
    other = restorer(corruption, names)
    (task,) = other.model.corruption.tasks()
    with pytest.raises(TaskError, match=f"does not use the parameter `.*it uses: {uses}$"):
        other.restore(noise(2000), RATE, task=task, **given)


def test_what_is_not_known_is_not_reported_as_found():
    found = restorer().inspect(noise(2000), RATE, task="denoise")
    assert found.as_dict() == {} and found.describe() == "restoring all of the audio"
    found = restorer().inspect(noise(2000), RATE, task="denoise", snr_db=4)
    assert found.as_dict() == {"snr_db": 4.0} and "snr_db = 4.0" in found.describe()


def test_blocks_and_the_model_folder_keep_the_parameter(tmp_path):
    first, wave = restorer(), noise(9000, 2)
    save_model(first.model, tmp_path / "model")
    other = Restorer.from_pretrained(tmp_path / "model", "cpu", "fp32")
    whole = first.restore(wave, RATE, task="denoise", snr_db=2.0)
    assert torch.equal(other.restore(wave, RATE, task="denoise", snr_db=2.0), whole)
    restoration = other.prepare(wave.split(777, dim=-1), RATE, task="denoise", snr_db=2.0)
    assert torch.equal(torch.cat(list(restoration.run()), dim=-1), whole)
    chain = Chain([(other, RestoreOptions("denoise", {"snr_db": 2.0}))])
    assert torch.equal(chain.restore(wave, RATE), whole)


def test_a_choice_that_training_does_not_draw_is_unknown():
    corruption = config({"name": "codec", "codecs": ["mp3", "opus"]}, ()).corruption.build()
    scaled = [corruption.scaled(corruption.observed(coding=name)) for name in ("opus", "vorbis")]
    assert scaled == [{"coding": 1.0}, {}]


def test_a_network_without_another_condition_is_conditioned():
    other = restorer("bandwidth", ("cutoff_hz",), prediction="paper")
    one, two = (other.model.denoiser({"cutoff_hz": value}) for value in (-0.5, 0.5))
    x = torch.randn(1, 3, 128, 16, generator=torch.Generator().manual_seed(0))
    state = State(x, torch.ones(1), x, None)
    with torch.no_grad():
        assert not torch.allclose(one(state), two(state))


def test_training_hides_parameters_at_random():
    model = Model(config(names=("snr_db", "colour")))
    segments = [Segment(noise(15 * 64, seed=k)[0], RATE / 2, "", k) for k in range(200)]
    shown = make_batch(model, segments, segment_generators(segments, 0), 0.25).conditioning
    values, known = shown[:, 0::2], shown[:, 1::2]
    assert shown.shape == (200, 4) and set(known.flatten().tolist()) == {0.0, 1.0}
    assert known.mean(dim=0).tolist() == pytest.approx([0.75, 0.75], abs=0.1)
    assert not values[known == 0].any() and values.abs().max() <= 1
    assert set(values[known[:, 1] == 1, 1].tolist()) == {-1.0, 1.0}
    everything = make_batch(model, segments[:8], segment_generators(segments[:8], 0)).conditioning
    assert everything[:, 1::2].all()


def test_a_conditioned_model_is_trained_with_a_term_on_audio(tmp_path):
    write_audio(tmp_path / "audio")
    run = train_config(tmp_path, model=config(), steps=2, stft_weight=0.1)
    Trainer(run).run()
    trained = Restorer.from_pretrained(tmp_path / "run" / "model", "cpu", "fp32")
    restored = trained.restore(noise(2000), RATE, task="denoise", snr_db=4.0)
    assert np.isfinite(restored.numpy()).all()


def test_a_parameter_without_a_range_is_refused():
    with pytest.raises(ConfigError, match=r"`levels` is no parameter with a range .*drive_db"):
        Model(config("declip", ("levels",)))


def test_evaluations_give_what_the_model_uses(tmp_path):
    file = tmp_path / "protocols.yaml"
    file.write_text("noisy: {corruption: denoise, parameters: {snr_db: 6, colour: pink}}\n")
    (protocol,) = load_protocols(["noisy"], file)
    described = protocol.damage(noise(4000), RATE).parameters
    given = [
        used_only(restorer(names=names).model.corruption, names, described)
        for names in ((), ("snr_db",))
    ]
    assert given == [{}, {"snr_db": 6.0}]


def test_models_of_earlier_versions_are_not_conditioned():
    fields = config(names=()).model_dump(mode="json")
    del fields["condition_on"]
    model = Model(ModelConfig.model_validate(fields))
    assert model.backbone.condition_channels == model.prediction.condition_channels
