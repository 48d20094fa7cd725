"""The script that trains an envelope model, on short noises whose levels are known."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "train_small"))

import envelope_data
import envelope_errors
import train_envelope

from a2sb_tasks.envelope.bands import BANDS
from a2sb_tasks.envelope.model import EnvelopeModel

RATE = 44100


def noise(seconds=2.0, seed=0, channels=1):
    """Return noise whose level swells and falls, (T, C)."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * RATE)
    swell = 10 ** np.interp(np.arange(samples), np.linspace(0, samples, 9), rng.uniform(-2, 0, 9))
    return (0.1 * swell[:, None] * rng.standard_normal((samples, channels))).astype(np.float32)


def manifest(folder, rates=(44100, 44100, 36000, 44100)):
    splits = ["train"] * (len(rates) - 1) + ["validation"]
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["split", "file_path", "duration", "sample_rate", "group"])
        for number, (split, rate) in enumerate(zip(splits, rates, strict=True)):
            soundfile.write(folder / f"{number}.wav", noise(seed=number, channels=2), RATE)
            rows.writerow([split, f"{number}.wav", 2.0, rate, "real"])
    return folder / "manifest.csv"


def tracks(folder, **options):
    return envelope_data.load_tracks(manifest(folder, **options), folder / "levels.npz")


def test_levels_by_semitone_are_those_of_the_power():
    power = torch.full((1024, 40), 100.0)
    levels = envelope_data.semitone_levels(power)
    assert torch.allclose(levels, torch.tensor(20.0), atol=1e-3)
    assert torch.allclose(envelope_data.by_band(levels), torch.tensor(20.0), atol=1e-3)


def test_the_cache_gives_the_same_levels_and_belongs_to_its_manifest(tmp_path):
    first = tracks(tmp_path)
    again = tracks(tmp_path)
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.levels, two.levels)
    (tmp_path / "manifest.csv").write_text("split,file_path\ntrain,other.wav\n")
    with pytest.raises(train_envelope.TrainingError, match="another manifest"):
        envelope_data.load_tracks(tmp_path / "manifest.csv", tmp_path / "levels.npz")


def test_a_batch_hides_its_targets_and_is_a_function_of_the_seed(tmp_path):
    training = tracks(tmp_path)[:-1]
    one, two, other = (
        envelope_data.Augmentation(training, 3.0, 16, 48, seed).draw() for seed in (1, 1, 2)
    )
    assert torch.equal(one.levels, two.levels) and torch.equal(one.weight, two.weight)
    assert not torch.equal(one.target, other.target)
    whole = one.share == 1
    assert torch.allclose(one.levels[whole], one.target[whole], atol=1e-2)
    assert (one.weight[whole] == 0).all()
    assert ((one.weight + one.share) <= 1 + 1e-6).all()
    assert whole.any() and (one.weight == 1).any()


def test_nothing_above_the_bandwidth_of_a_track_is_a_target(tmp_path):
    training = tracks(tmp_path, rates=(16000, 16000))[:1]
    batch = envelope_data.Augmentation(training, 1.0, 64, 32, 0).draw()
    middle = envelope_data.by_band(envelope_data.LOW_HZ)
    assert (batch.weight[:, middle > 8000 * 2 ** (3 / 12)] == 0).all()
    assert batch.weight[:, middle < 8000].any()


def test_the_truth_has_no_error_and_a_wrong_level_has_its_own():
    power = torch.rand(1024, 64, generator=torch.Generator().manual_seed(0)) + 0.1

    def shifted(shift_db):
        def estimate(power, cutoff_hz):
            count = envelope_errors.bands_above(cutoff_hz)
            return envelope_errors.levels_of(power, cutoff_hz, 0, count) + shift_db

        return estimate

    for shift_db in (0.0, -3.0):
        error, constant, correlation = envelope_errors.errors(shifted(shift_db), [power], 4000.0)
        assert torch.allclose(error, torch.tensor(abs(shift_db)), atol=1e-4)
        assert torch.allclose(constant, torch.tensor(abs(shift_db)), atol=1e-4)
        assert torch.allclose(correlation, torch.tensor(1.0), atol=1e-4)


def test_the_linear_estimate_finds_a_linear_relation_at_any_gain():
    generator = torch.Generator().manual_seed(0)
    known = 40 * torch.randn(400, 3, generator=generator)
    missing = torch.stack([known[:, 2] - 7, known[:, 1] + known[:, 0] - known[:, 2]], dim=1)
    linear = envelope_errors.Linear(torch.cat([known, missing], dim=1), 3)
    assert torch.allclose(linear(known.T + 11), missing.T + 11, atol=2.0)


def test_training_lowers_the_loss_and_writes_weights_of_the_model(tmp_path, capsys):
    path = manifest(tmp_path)
    output = tmp_path / "envelope.safetensors"
    options = ["--steps", "30", "--width", "16", "--seed", "3"]
    assert train_envelope.main([str(path), str(output), *options]) == 0
    printed = capsys.readouterr().out
    losses = [float(line.split()[3].rstrip(",")) for line in printed.splitlines()[:10]]
    assert losses[-1] < losses[0]
    assert "trained model" in printed and "nan" not in printed
    EnvelopeModel(width=16).load_state_dict(load_file(output))


def test_the_model_is_the_same_for_the_same_seed(tmp_path):
    training = tracks(tmp_path)[:-1]
    one, two = (train_envelope.train(training, 8, 3, 1.0, seed=5) for _ in range(2))
    levels = torch.randn(1, BANDS, 20, generator=torch.Generator().manual_seed(0))
    known = torch.ones_like(levels)
    assert torch.equal(one(levels, known)[0], two(levels, known)[0])


def test_the_loss_is_least_at_the_median_and_at_the_mean_deviation():
    target, weight = torch.tensor([-3.0, 0.0, 1.0]), torch.ones(3)

    def loss(mean, spread):
        means, spreads = torch.tensor(mean), torch.tensor(spread)
        return float(train_envelope.laplace_loss(means, spreads, target, weight))

    best = loss(0.0, 4 / 3)
    others = ((0.3, 4 / 3), (-0.3, 4 / 3), (0.0, 1.2), (0.0, 1.5))
    assert all(best < loss(*other) for other in others)


@pytest.mark.parametrize("damage", ["missing", "empty", "no manifest", "no training tracks"])
def test_bad_data_ends_with_an_error_that_names_the_file(tmp_path, capsys, damage):
    path = manifest(tmp_path)
    if damage == "missing":
        (tmp_path / "1.wav").unlink()
    elif damage == "empty":
        soundfile.write(tmp_path / "1.wav", np.zeros((0, 1)), RATE)
    elif damage == "no manifest":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("train,", "test,"))
    assert train_envelope.main([str(path), str(tmp_path / "out"), "--steps", "1"]) == 1
    error = capsys.readouterr().err
    named = {"missing": "1.wav", "empty": "1.wav", "no manifest": "manifest.csv"}
    assert named.get(damage, "`train`") in error
    assert not (tmp_path / "out").exists()
