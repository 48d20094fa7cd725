"""Damage across channels: trained, restored and refused with both channels together."""

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import model_config, noise, train_config, write_audio

from a2sb_core.errors import ConfigError, TaskError, TrainingError
from a2sb_core.evaluation.protocols import load_protocols
from a2sb_core.interfaces import ComponentConfig, FrozenConfig, WaveformCorruption
from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.training.trainer import Trainer

RATE = 44100
JOINT = {"name": "joint", "inner": {"name": "factorized", "n_fft": 256, "hop_length": 64}}


class Collapse(WaveformCorruption):
    """Both channels are their mean."""

    task, audio_channels = "widen", 2

    class Config(ComponentConfig):
        name: str = "collapse"

    class Parameters(FrozenConfig):
        pass

    def apply(self, wave, parameters, noise, sample_rate):
        pairs = wave.unflatten(0, (-1, 2))
        return pairs.mean(dim=1, keepdim=True).expand_as(pairs).flatten(0, 1)


def joint_config(**changes):
    parts = {
        "representation": JOINT,
        "corruption": Collapse.Config(),
        "prediction": {"name": "paper", "tell": "known"},
        "backbone": {**model_config().backbone.model_dump(), "dropout": 0.0, "zero_output": True},
    }
    return model_config(**parts | changes)


@pytest.fixture
def restorer():
    torch.manual_seed(0)
    return Restorer(Model(joint_config(backbone=model_config().backbone)), "cpu", "fp32")


def side_db(wave):
    """Energy of the side, in dB."""
    return float(10 * (wave[0] - wave[1]).square().mean().clamp(min=1e-12).log10())


def test_training_on_a_collapse_restores_the_side(tmp_path):
    write_audio(tmp_path / "audio", channels=2)
    config = train_config(
        tmp_path,
        model=joint_config(),
        steps=40,
        batch_size=4,
        times={"bias": 4},
        optimizer={"kind": "adamw", "learning_rate": 1e-2, "max_grad_norm": 10},
        data={"gain_db": 0, "validation_files": 0},
    )
    trainer = Trainer(config)
    losses = []
    trainer.run(on_step=lambda step, loss: losses.append(loss))
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    wave = noise(6000, 2, seed=9)
    mono = wave.mean(dim=0, keepdim=True).expand(2, -1)
    restored = Restorer(trainer.averaged_model(), "cpu", "fp32").restore(mono, RATE, task="widen")
    assert side_db(mono) < -100
    assert abs(side_db(restored) - side_db(wave)) < 6


def test_segments_hold_both_channels_and_other_files_are_left_out(tmp_path):
    (path, *_) = write_audio(tmp_path / "audio", channels=2)
    write_audio(tmp_path / "audio" / "mono", count=1)
    config = train_config(tmp_path, model=joint_config(), data={"validation_files": 0})
    trainer = Trainer(config)
    stereo = soundfile.read(path, dtype="float32")[0].T  # the gain is 0 dB
    segments = [trainer.segments[i] for i in range(8)]
    assert all(segment.wave.shape == (2, 15 * 64) for segment in segments)
    assert any(np.isin(segment.wave[1], stereo[1]).all() for segment in segments)
    assert [path.parent.name for path in trainer.segments.unreadable] == ["mono"]


def test_training_without_stereo_files_says_so(tmp_path):
    write_audio(tmp_path / "audio")
    with pytest.raises(TrainingError, match="1 channels, and the model restores 2 together"):
        Trainer(train_config(tmp_path, model=joint_config())).run()


def test_blocks_do_not_matter(restorer):
    wave = noise(5000, 2)
    whole = restorer.restore(wave, RATE, task="widen")
    blocks = torch.split(wave, 777, dim=-1)
    restoration = restorer.prepare(blocks, RATE, samples=5000, task="widen")
    torch.testing.assert_close(torch.cat(list(restoration.run()), -1), whole)
    assert not torch.equal(whole, wave)


def test_channels_are_not_restored_alone(restorer):
    wave = noise(5000, 2)
    other = torch.stack([wave[0], 0.5 * wave[1]])
    one, two = (restorer.restore(x, RATE, task="widen")[0] for x in (wave, other))
    assert not torch.allclose(one, two)


@pytest.mark.parametrize(
    ("channels", "stereo", "words"),
    [(1, "lr", "recording has 1"), (3, "lr", "recording has 3"), (2, "ms", "`lr` instead of `ms`")],
)
def test_other_channels_are_refused(restorer, channels, stereo, words):
    with pytest.raises(TaskError, match=words):
        restorer.restore(noise(5000, channels), RATE, task="widen", stereo=stereo)
    with pytest.raises(TaskError, match="2 channels together"):
        restorer.inspect(noise(5000, channels), RATE, task="widen", stereo=stereo)


@pytest.mark.parametrize("holder", ["alone", "mixture", "composite"])
def test_a_representation_of_single_channels_is_refused(holder):
    corruption = {
        "alone": Collapse.Config(),
        "mixture": {"name": "mixture", "parts": [{"corruption": Collapse.Config()}]},
        "composite": {"name": "composite", "parts": ["denoise", Collapse.Config()]},
    }[holder]
    with pytest.raises(ConfigError, match="needs 2 audio channels together"):
        Model(joint_config(corruption=corruption, representation=JOINT["inner"]))


def test_a_protocol_of_two_channels_refuses_one(tmp_path, monkeypatch):
    file = tmp_path / "protocols.yaml"
    file.write_text("collapsed: {corruption: declip, parameters: {drive_db: 6}}\n")
    (protocol,) = load_protocols(["collapsed"], file)
    assert protocol.damage(noise(500, 1), RATE).wave.shape == (1, 500)
    from a2sb_tasks.corruptions.declip import Declip

    monkeypatch.setattr(Declip, "audio_channels", 2)
    with pytest.raises(TaskError, match="damages 2 channels together, but the clip has 1"):
        protocol.damage(noise(500, 1), RATE)
