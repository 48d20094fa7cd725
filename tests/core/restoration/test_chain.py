"""A chain does what its restorations do one after the other."""

import itertools

import numpy as np
import pytest
import soundfile
import torch
import yaml
from engine_helpers import RATE, limited, model_config, noise, write_samples

from a2sb_core import Chain, Listener, RestoreOptions, Restorer
from a2sb_core.audio.resampling import resample
from a2sb_core.errors import A2SBError, AudioError, ConfigError, TaskError
from a2sb_core.models.model import Model
from a2sb_core.restoration.sources import AudioSource
from a2sb_core.restoration.stored_blocks import IN_MEMORY_BYTES, StoredBlocks

EXTEND = RestoreOptions("bandwidth", {"cutoff_hz": 3000.0}, seed=3)
FILL = RestoreOptions("inpaint", {"gaps_s": [(0.05, 0.07)]}, steps=1)


class Events(Listener):
    """The damage of each step, and whether anything was restored."""

    def __init__(self):
        self.damage, self.has_begun = [], False

    def on_damage(self, damage):
        self.damage.append(damage)

    def on_progress(self, done, of):
        self.has_begun = True


@pytest.fixture(scope="module")
def other(model):
    """A restorer with other weights."""
    torch.manual_seed(1)
    return Restorer(Model(model_config()).eval(), "cpu", "fp32")


def by_hand(steps, wave, rate):
    for restorer, options in steps:
        recording = AudioSource.of(wave, rate)
        output_rate = restorer.prepare_file(recording, options).output_rate
        wave, rate = restorer.restore(wave, rate, options), output_rate
    return wave


@pytest.mark.parametrize("rate", [RATE, 16000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_chain_equals_its_steps_by_hand(restorer, other, rate, channels):
    wave = limited(rate // 2, 3000, rate, channels)
    for steps in ([(restorer, FILL), (other, EXTEND)], [(restorer, EXTEND), (other, FILL)]):
        assert torch.equal(Chain(steps).restore(wave, rate), by_hand(steps, wave, rate))


def test_damage_is_found_in_the_result_of_the_step_before(restorer, other):
    wave = limited(16000, 3000, 16000)
    wave[:, 3000:3400] = torch.nan
    steps = [(restorer, RestoreOptions("inpaint")), (other, RestoreOptions("bandwidth"))]
    events = Events()
    restored = Chain(steps).restore(wave, 16000, listener=events)
    assert torch.equal(restored, by_hand(steps, wave, 16000))
    assert restored.shape[-1] == RATE
    assert [damage.corruption.task for damage in events.damage] == ["inpaint", "bandwidth"]


@pytest.mark.parametrize("modes", [("ms", "mono"), ("mono", "lr"), ("lr", "ms")])
def test_each_step_has_its_own_stereo_mode(restorer, other, modes):
    wave = limited(8000, 3000, channels=2)
    options = [
        RestoreOptions(one.task, one.damage, 1, stereo=stereo)
        for one, stereo in zip((FILL, EXTEND), modes, strict=True)
    ]
    steps = list(zip((restorer, other), options, strict=True))
    assert torch.equal(Chain(steps).restore(wave, RATE), by_hand(steps, wave, RATE))


def test_files_are_chained_like_files_by_hand(restorer, other, tmp_path):
    source = write_samples(tmp_path / "in.wav", limited(RATE, 3000, channels=2).T)
    steps = [(restorer, FILL), (other, EXTEND)]
    between, expected, target = (tmp_path / f"{name}.wav" for name in ("one", "two", "chain"))
    restorer.restore_file(source, between, FILL, bit_depth="float")
    other.restore_file(between, expected, EXTEND)
    found = Chain(steps).restore_file(source, target)
    assert np.array_equal(soundfile.read(target)[0], soundfile.read(expected)[0])
    tasks = [step["task"] for step in found.as_dict()["chain"]]
    assert tasks == ["inpaint", "bandwidth"]
    assert "3000 Hz" in found.describe()


def test_a_stream_is_chained_as_it_arrives(restorer, other):
    wave = limited(4 * RATE, 3000)
    taken = []

    def arriving():
        for block in torch.split(wave, 4410, dim=-1):
            taken.append(block.shape[-1])
            yield block

    chain = Chain([(restorer, FILL), (other, EXTEND)])
    source = AudioSource("live", RATE, 1, None, arriving())
    blocks = iter(chain.prepare_file(source).run())
    first = next(block for block in blocks if block.shape[-1])
    assert sum(taken) < 3 * RATE  # the rest has not been read yet
    restored = torch.cat([first, *blocks], dim=-1)
    assert restored.shape == wave.shape
    assert torch.isfinite(restored).all()


def test_an_undamaged_file_is_copied(restorer, tmp_path):
    source = write_samples(tmp_path / "in.wav", noise(RATE // 2).T)
    steps = [(restorer, RestoreOptions("inpaint")), (restorer, RestoreOptions("bandwidth"))]
    assert Chain(steps).restore_file(source, tmp_path / "out.wav") is None
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()


def test_an_interrupted_chain_is_resumed(restorer, other, tmp_path):
    source = write_samples(tmp_path / "in.wav", limited(4 * RATE, 3000).T)
    chain = Chain([(restorer, FILL), (other, EXTEND)])
    chain.restore_file(source, tmp_path / "whole.wav")

    class Interrupt(Events):
        def on_progress(self, done, of):
            if len(self.damage) == 2 and done > 2000:
                raise KeyboardInterrupt

    target = tmp_path / "part.wav"
    with pytest.raises(KeyboardInterrupt):
        chain.restore_file(source, target, resume=True, listener=Interrupt())
    others = Chain([(restorer, RestoreOptions("inpaint", FILL.damage)), (other, EXTEND)])
    with pytest.raises(AudioError, match="earlier"):
        others.restore_file(source, target, resume=True)
    chain.restore_file(source, target, resume=True)
    assert np.array_equal(soundfile.read(target)[0], soundfile.read(tmp_path / "whole.wav")[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RestoreOptions("nonsense"), "step 2 of the chain .nonsense.*does not support"),
        (RestoreOptions("inpaint", {"gaps_s": [(0.4, 0.7)]}), "step 2 .*does not lie within"),
        (RestoreOptions("inpaint", {"hole": 1}), "step 2 .*hole"),
        (RestoreOptions("bandwidth", {"cutoff_hz": 40000.0}), "step 2 .*40000 Hz"),
        (RestoreOptions("inpaint", FILL.damage, stereo="ms"), "step 2 .*two channels"),
    ],
    ids=["task", "gap", "parameter", "cutoff", "channels"],
)
def test_a_step_that_cannot_follow_is_refused_before_any_work(restorer, options, words):
    events = Events()
    with pytest.raises(TaskError, match=words):
        Chain([(restorer, FILL), (restorer, options)]).restore(
            noise(RATE // 2, 3), RATE, listener=events
        )
    assert not events.damage
    assert not events.has_begun


def test_a_chain_has_steps():
    with pytest.raises(TaskError, match="at least one step"):
        Chain([])


def test_a_chain_is_read_from_a_file(restorer, other, tmp_path):
    restorer.save_pretrained(tmp_path / "one")
    other.save_pretrained(tmp_path / "two")
    steps = [
        {"task": "inpaint", "model": str(tmp_path / "one"), "damage": dict(FILL.damage)},
        {"task": "bandwidth", "model": str(tmp_path / "two"), "damage": dict(EXTEND.damage)},
    ]
    path = tmp_path / "chain.yaml"
    path.write_text(yaml.safe_dump({"chain": [{**one, "steps": 1} for one in steps]}))
    wave = limited(8000, 3000)
    expected = by_hand(
        [
            (restorer, RestoreOptions("inpaint", FILL.damage, 1)),
            (other, RestoreOptions("bandwidth", EXTEND.damage, 1)),
        ],
        wave,
        RATE,
    )
    assert torch.equal(Chain.from_config(path, "cpu", "fp32").restore(wave, RATE), expected)
    with pytest.raises(ConfigError, match="chain"):
        Chain.from_config({"chain": []})
    with pytest.raises(A2SBError, match="nowhere"):
        Chain.from_config({"chain": [{"task": "inpaint", "model": "nowhere"}]})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stored_blocks_return_what_they_were_given(dtype):
    wave = noise(300_000, 2).to(dtype)
    stored = StoredBlocks(torch.split(wave, 77_777, dim=-1), RATE, 2, dtype)
    for _ in range(2):
        assert torch.equal(torch.cat(list(stored), dim=-1), wave)
    assert len(stored) == len(list(stored))
    assert (stored.samples, wave.nbytes < IN_MEMORY_BYTES) == (300_000, True)


def test_the_rate_of_a_result_is_the_rate_of_the_next_step(restorer):
    low = RestoreOptions("bandwidth", {"cutoff_hz": 3000.0}, 1, output_rate=22050)
    steps = [(restorer, low), (restorer, FILL)]
    wave = limited(4000, 3000, 8000)
    restored = Chain(steps).restore(wave, 8000)
    assert restored.shape[-1] == resample(wave, 8000, 22050).shape[-1]
    assert torch.equal(restored, by_hand(steps, wave, 8000))


DAMAGE = {"bandwidth": dict(EXTEND.damage), "inpaint": dict(FILL.damage)}
KINDS = ("bandwidth", "inpainting", "declip", "denoise", "dereverb", "codec", "everything")


@pytest.fixture(scope="module")
def every_task():
    """A restorer of all tasks, whose parameters need not be trained."""
    parts = [{"corruption": kind} for kind in KINDS]
    torch.manual_seed(0)
    config = model_config(
        corruption={"name": "mixture", "parts": parts},
        prediction={"name": "paper", "tell": "known"},
        loudness_dbfs=-20.0,
    )
    return Restorer(Model(config).eval(), "cpu", "fp32")


def test_any_two_tasks_are_chained_as_by_hand(every_task):
    wave = limited(5000, 3000, channels=2).clamp(-0.3, 0.3)
    tasks = every_task.model.corruption.tasks()
    assert len(tasks) == len(KINDS)
    for first, second in itertools.permutations(tasks, 2):
        steps = [
            (every_task, RestoreOptions(task, DAMAGE.get(task, {}), 1)) for task in (first, second)
        ]
        together = Chain(steps).restore(wave, RATE)
        assert torch.equal(together, by_hand(steps, wave, RATE)), (first, second)
        assert not torch.equal(together, wave)
