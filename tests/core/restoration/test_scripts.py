"""What scripts need: restorers from configurations, many recordings, threads, parts of a change."""

import math
import threading

import numpy as np
import pytest
import torch
import yaml
from engine_helpers import RATE, limited, model_config, noise

from a2sb_core import RestoreOptions, Restorer
from a2sb_core.audio.resampling import resample
from a2sb_core.errors import AudioError, ConfigError, ModelError, TaskError

BANDWIDTH = RestoreOptions("bandwidth", {"cutoff_hz": 5000.0})
INPAINT = RestoreOptions("inpaint", {"gaps_s": [(0.05, 0.07)]})
SIZES = ((4000, 1), (5100, 2), (999, 1))
CLIPS = [noise(samples, channels, seed=samples) for samples, channels in SIZES]


def test_a_configuration_becomes_a_restorer(restorer, tmp_path):
    folder = tmp_path / "models" / "one"
    restorer.save_pretrained(folder)
    fields = model_config().model_dump(mode="json")
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump({**fields, "weights": "models/one"}))
    wave = noise(3000)
    expected = restorer.restore(wave, RATE, BANDWIDTH)
    for made in (
        Restorer.from_config(path, "cpu", "fp32"),
        Restorer.from_config({**fields, "weights": folder}, "cpu", "fp32"),
        Restorer.from_config(model_config(), "cpu", "fp32", weights=folder / "model.safetensors"),
    ):
        assert torch.equal(made.restore(wave, RATE, BANDWIDTH), expected)


def test_an_untrained_restorer_is_the_same_each_time():
    before = torch.get_rng_state()
    made = [Restorer.from_config(model_config(), "cpu", "fp32") for _ in range(2)]
    one, other = (restorer.model.state_dict() for restorer in made)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"weights": 3}, ConfigError, "weights"),
        ({"weights": "nowhere"}, ModelError, "nowhere"),
        ({"bridge": "nonsense"}, ConfigError, "nonsense"),
    ],
)
def test_a_faulty_configuration_is_refused(fields, error, words):
    with pytest.raises(error, match=words):
        Restorer.from_config(model_config().model_dump(mode="json") | fields, "cpu")


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_many_recordings_equal_each_alone(restorer, workers):
    options = [BANDWIDTH, INPAINT, BANDWIDTH]
    rates = [RATE, RATE, 16000]
    together = restorer.restore_many(CLIPS, rates, options, workers=workers)
    for wave, rate, chosen, restored in zip(CLIPS, rates, options, together, strict=True):
        assert torch.equal(restored, restorer.restore(wave, rate, chosen))


def test_many_recordings_take_one_rate_and_keywords(restorer):
    arrays = [wave.numpy() for wave in CLIPS]
    together = restorer.restore_many(iter(arrays), RATE, task="bandwidth", cutoff_hz=5000)
    for wave, restored in zip(arrays, together, strict=True):
        assert np.array_equal(restored, restorer.restore(wave, RATE, BANDWIDTH))
    assert restorer.restore_many([], RATE, BANDWIDTH) == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((CLIPS, [RATE, 48000], BANDWIDTH), AudioError, "3 recordings, but 2 sample rates"),
        ((CLIPS, RATE, [BANDWIDTH]), AudioError, "3 recordings, but 1 options"),
        (([*CLIPS, torch.zeros(2, 0)], RATE, BANDWIDTH), AudioError, "recording 3"),
        ((CLIPS, RATE, [BANDWIDTH, INPAINT, INPAINT]), TaskError, "recording 2"),
    ],
    ids=["rates", "options", "empty", "gap beyond the end"],
)
def test_many_recordings_that_do_not_fit_are_refused(restorer, arguments, error, words):
    with pytest.raises(error, match=words):
        restorer.restore_many(*arguments)


def test_threads_share_a_restorer(restorer):
    jobs = [(wave, options) for wave in CLIPS[:2] for options in (BANDWIDTH, INPAINT)] * 2
    expected = [restorer.restore(wave, RATE, options) for wave, options in jobs]
    found, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def work(index):
        barrier.wait()
        found[index] = restorer.restore(jobs[index][0], RATE, jobs[index][1])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("options", [BANDWIDTH, INPAINT], ids=["bandwidth", "inpaint"])
@pytest.mark.parametrize("stereo", ["lr", "ms"])
def test_the_amount_of_the_change(restorer, options, stereo):
    wave = noise(6000, 2)
    given = {"task": options.task, "damage": options.damage, "stereo": stereo}
    whole = restorer.restore(wave, RATE, **given)
    half = restorer.restore(wave, RATE, amount=0.5, **given)
    assert torch.equal(restorer.restore(wave, RATE, amount=1, **given), whole)
    torch.testing.assert_close(restorer.restore(wave, RATE, amount=0, **given), wave)
    torch.testing.assert_close(half, (wave + whole) / 2)
    assert float((whole - wave).abs().max()) > 1e-3


def test_the_level_of_the_change(restorer):
    wave = noise(6000, 2)
    whole = restorer.restore(wave, RATE, BANDWIDTH)
    louder = restorer.restore(
        wave, RATE, task="bandwidth", **BANDWIDTH.damage, level_db=20 * math.log10(2)
    )
    torch.testing.assert_close(louder, wave + 2 * (whole - wave))
    with pytest.raises(TaskError, match="level_db must be from"):
        restorer.restore(wave, RATE, task="bandwidth", level_db=60.0)


def test_the_input_is_mixed_in_at_the_rate_of_the_result(restorer):
    wave = limited(1600, 3000, 8000)
    nothing = restorer.restore(wave, 8000, task="bandwidth", cutoff_hz=3000, amount=0)
    torch.testing.assert_close(nothing, resample(wave, 8000, RATE))


def test_lost_samples_are_mixed_in_as_silence(restorer):
    wave = noise(6000)
    wave[:, 2205:3087] = torch.nan
    whole = restorer.restore(wave, RATE, INPAINT)
    part = restorer.restore(wave, RATE, task="inpaint", **INPAINT.damage, amount=0.25)
    torch.testing.assert_close(part[:, 2300:3000], whole[:, 2300:3000] / 4)


@pytest.mark.parametrize("amount", [-0.1, 1.5, float("nan")])
def test_an_amount_outside_of_0_to_1_is_refused(restorer, amount):
    with pytest.raises(TaskError, match="amount must be from 0 to 1"):
        restorer.restore(CLIPS[0], RATE, task="bandwidth", amount=amount)
