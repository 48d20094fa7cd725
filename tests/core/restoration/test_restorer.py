import math

import numpy as np
import pytest
import torch
from engine_helpers import RATE, limited, model_config, noise

from a2sb_core.audio.resampling import resample
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.errors import AudioError, ModelError, TaskError
from a2sb_core.models.model import Model
from a2sb_core.restoration.listener import ProgressListener
from a2sb_core.restoration.restorer import Restorer

GAP = (0.05, 0.07)
TASKS = pytest.mark.parametrize(
    ("task", "damage"),
    [("bandwidth", {"cutoff_hz": 5000}), ("inpaint", {"gaps_s": [GAP]})],
    ids=["bandwidth", "inpaint"],
)


def changed(model, **changes):
    """A restorer of the same weights in another composition."""
    other = Model(model_config(**changes))
    other.load_state_dict(model.state_dict())
    return Restorer(other, device="cpu", precision="fp32")


def windows(**changes):
    inner = {"name": "implicit", "steps": 2}
    return {"name": "multidiffusion", "window": 16, "hop": 8, "inner": inner} | changes


@TASKS
def test_the_seed_alone_decides(restorer, task, damage):
    wave = noise(4000, 2)
    first = restorer.restore(wave, RATE, task=task, seed=1, **damage)
    torch.manual_seed(5)
    assert torch.equal(first, restorer.restore(wave, RATE, task=task, seed=1, **damage))
    assert not torch.equal(first, restorer.restore(wave, RATE, task=task, seed=2, **damage))
    default = restorer.restore(wave, RATE, task=task, **damage)
    assert torch.equal(default, restorer.restore(wave, RATE, task=task, seed=0, **damage))


@TASKS
def test_how_many_windows_are_run_at_once_changes_nothing(restorer, task, damage):
    wave = noise(5000, 2)
    expected = restorer.restore(wave, RATE, task=task, **damage)
    for batch in (1, 3, 100):
        other = changed(restorer.model, sampler=windows(batch=batch))
        restored = other.restore(wave, RATE, task=task, **damage)
        scale = float(expected.abs().max())
        torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-5 * scale)


@TASKS
def test_equal_channels_stay_equal(restorer, task, damage):
    mono = noise(5000)
    stereo = restorer.restore(mono.expand(2, 5000), RATE, task=task, **damage)
    torch.testing.assert_close(stereo[0], stereo[1], rtol=1e-5, atol=1e-6)
    alone = restorer.restore(mono, RATE, task=task, **damage)
    torch.testing.assert_close(stereo[:1], alone, rtol=1e-4, atol=1e-5)


@TASKS
def test_arrays_and_tensors_of_any_precision_are_restored_alike(restorer, task, damage):
    wave = noise(5000)
    expected = restorer.restore(wave, RATE, task=task, **damage)
    array = restorer.restore(wave.numpy(), RATE, task=task, **damage)
    double = restorer.restore(wave.double(), RATE, task=task, **damage)
    flat = restorer.restore(wave[0], RATE, task=task, **damage)
    assert isinstance(array, np.ndarray)
    assert (double.dtype, double.shape) == (torch.float64, wave.shape)
    assert np.array_equal(array, expected.numpy())
    assert torch.equal(flat, expected[0])
    torch.testing.assert_close(double.float(), expected, rtol=1e-5, atol=1e-6)


def test_a_low_sample_rate_is_raised_to_extend_the_bandwidth(restorer):
    wave = noise(1600, 2)
    restored = restorer.restore(wave, 8000, task="bandwidth", cutoff_hz=4000)
    assert restored.shape == (2, 8820)
    raised = resample(wave, 8000, RATE)
    spectra = [torch.fft.rfft(w * torch.hann_window(8820)).abs() for w in (restored, raised)]
    before, after = (spectrum[:, int(5000 * 0.2) :].square().mean() for spectrum in spectra[::-1])
    assert after > 1000 * before


def test_the_cutoff_of_a_low_sample_rate_is_found(restorer):
    damage = restorer.inspect(noise(8000), 8000, task="bandwidth")
    assert damage.parameters.cutoff_hz == pytest.approx(4000, rel=0.06)


@pytest.mark.parametrize(
    ("rate", "output_rate", "samples"),
    [
        (48000, None, 4800),
        (96000, None, 9600),
        (16000, None, 4410),
        (16000, 48000, 4800),
        (44100, 22050, 2205),
    ],
)
def test_output_rate(restorer, rate, output_rate, samples):
    wave = limited(rate // 10, 4000, rate)
    options = {"output_rate": output_rate} if output_rate else {}
    restored = restorer.restore(wave, rate, task="bandwidth", cutoff_hz=4000, **options)
    assert restored.shape == (1, samples)
    assert torch.isfinite(restored).all()


def test_full_band_audio_comes_back_unchanged(restorer):
    wave = noise(RATE // 2)
    assert restorer.inspect(wave, RATE, task="bandwidth") is None
    assert torch.equal(restorer.restore(wave, RATE, task="bandwidth"), wave)


def test_silence_comes_back_as_silence(restorer):
    for wave in (torch.zeros(2, 3000), torch.zeros(1)):
        assert torch.equal(restorer.restore(wave, RATE, task="bandwidth"), wave)


def test_inspect_tells_what_restore_would_do(restorer):
    wave = limited(RATE // 2, 8000)
    found = restorer.inspect(wave, RATE, task="bandwidth")
    assert found.parameters.cutoff_hz == pytest.approx(8000, rel=0.03)
    by_itself = restorer.restore(wave, RATE, task="bandwidth")
    known = restorer.restore(wave, RATE, task="bandwidth", damage=found.as_dict())
    assert torch.equal(by_itself, known)
    assert not torch.equal(by_itself, wave)
    gaps = restorer.inspect(wave, RATE, task="inpaint", gaps_s=[(0.2, 0.3), (0.1, 0.25)])
    assert gaps.parameters.gaps_s == gaps.stretches == ((0.1, 0.3),)


@TASKS
def test_progress_is_reported_and_what_the_listener_raises_ends_the_work(restorer, task, damage):
    seen, wave = [], noise(5000)
    listener = ProgressListener(lambda *done: seen.append(done))
    restorer.restore(wave, RATE, task=task, listener=listener, **damage)
    assert seen == sorted(seen)
    assert len(seen) > 10
    assert len({of for _, of in seen}) == 1
    assert [done for done, of in seen if done == of] == [seen[-1][0]]

    def stop(done, of):
        seen.append((done, of))
        raise InterruptedError

    seen.clear()
    with pytest.raises(InterruptedError):
        restorer.restore(wave, RATE, task=task, listener=ProgressListener(stop), **damage)
    assert len(seen) == 1


@TASKS
def test_steps_as_asked_as_the_model_says_or_as_the_sampler_does(restorer, task, damage):
    def count(restorer, **options):
        times = set()
        hook = restorer.model.backbone.register_forward_pre_hook(
            lambda module, inputs: times.update(inputs[1].tolist())
        )
        restorer.restore(noise(3500), RATE, task=task, **damage, **options)
        hook.remove()
        return len(times)

    other = changed(restorer.model, steps={"inpaint": 3})
    assert count(restorer) == 2
    assert count(restorer, steps=1) == 1
    assert count(other) == (3 if task == "inpaint" else 2)
    assert count(other, steps=4) == 4


@pytest.mark.parametrize("steps", [0, -3])
def test_a_number_of_steps_must_be_positive(restorer, steps):
    with pytest.raises(TaskError, match="steps"):
        restorer.restore(noise(3000), RATE, task="bandwidth", cutoff_hz=5000, steps=steps)


@TASKS
def test_loudness_is_normalized_before_and_given_back_after(restorer, task, damage):
    normal = changed(restorer.model, loudness_dbfs=-20.0)
    wave = noise(8000)
    loud = normal.restore(wave, RATE, task=task, **damage)
    quiet = normal.restore(0.01 * wave, RATE, task=task, **damage)
    torch.testing.assert_close(quiet, 0.01 * loud, rtol=1e-2, atol=1e-5)
    plain = restorer.restore(0.01 * wave, RATE, task=task, **damage)
    assert not torch.allclose(plain, 0.01 * loud, rtol=1e-2, atol=1e-5)


def test_loudness_is_measured_outside_the_gap(restorer):
    normal, seen = changed(restorer.model, loudness_dbfs=-20.0), []
    encode = normal.model.representation.encode
    normal.model.representation.encode = lambda wave: seen.append(wave) or encode(wave)
    wave = noise(8000)
    normal.restore(wave, RATE, task="inpaint", gaps_s=[(0.05, 0.15)])
    time = torch.arange(seen[0].shape[-1]) / RATE
    kept = seen[0][:, (time < 0.04) | (time > 0.16)]
    assert 20 * math.log10(kept.square().mean().sqrt()) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@TASKS
def test_what_is_not_a_number_outside_the_gap_is_an_error(restorer, value, task, damage):
    wave = noise(8000)
    wave[0, 1000] = value
    with pytest.raises(AudioError, match=r"0\.023 s"):
        restorer.restore(wave, RATE, task=task, **damage)


@pytest.mark.parametrize(
    "wave",
    [
        torch.zeros(1, 0),
        torch.zeros(0),
        torch.zeros(0, 5),
        torch.zeros(2, 3, 4),
        torch.tensor(1.0),
        torch.zeros(2, 9, dtype=torch.int16),
        np.zeros((1, 9), dtype=np.int16),
        np.zeros((1, 9), dtype=np.complex64),
        np.zeros((9000, 2), dtype=np.float32),
        [[0.0, 0.1]],
        None,
    ],
    ids=lambda wave: f"{type(wave).__name__}{tuple(getattr(wave, 'shape', ()))}",
)
def test_audio_of_another_form_is_refused(restorer, wave):
    for method in (restorer.restore, restorer.inspect, restorer.prepare):
        with pytest.raises(AudioError, match=r"floating-point|shape|empty|array"):
            given = [wave] if method == restorer.prepare else wave
            method(given, RATE, task="bandwidth", cutoff_hz=4000)


@pytest.mark.parametrize("rate", [0, -8000, 44100.5, float("nan"), float("inf"), None, "44100"])
def test_a_sample_rate_that_is_no_whole_number_is_refused(restorer, rate):
    for method in (restorer.restore, restorer.inspect, restorer.prepare):
        with pytest.raises(AudioError, match="sample rate"):
            method(noise(2000), rate, task="bandwidth", cutoff_hz=4000)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"task": "denoise"}, "denoise.*bandwidth, inpaint"),
        ({"task": "inpaint", "gaps_s": []}, "gaps is empty"),
        ({"task": "inpaint", "gaps_s": [(0.1, 9.0)]}, "within the audio"),
        ({"task": "inpaint", "gaps_s": [(0.1, 0.1)]}, "0 <= start < end"),
        ({"task": "inpaint", "gaps_s": [(0.0, 3000 / RATE)]}, "whole audio"),
        ({"task": "inpaint", "cutoff_hz": 4000}, "gaps_s"),
        ({"task": "bandwidth", "gaps_s": [GAP]}, "cutoff_hz"),
        ({"task": "bandwidth", "cutoff_hz": -1}, "greater than 0"),
        ({"task": "bandwidth", "cutoff_hz": 22_050}, "22050 Hz"),
    ],
    ids=str,
)
def test_damage_that_does_not_fit_is_refused(restorer, damage, message):
    with pytest.raises(TaskError, match=message):
        restorer.restore(noise(3000), RATE, **damage)


def test_devices_and_precisions(model):
    with pytest.raises(ModelError, match="fp8"):
        Restorer(model, device="cpu", precision="fp8")
    with pytest.raises(ModelError, match="abacus"):
        Restorer(model, device="abacus")
    for precision, expected in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with choose_autocast(torch.device("cpu"), precision):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_bf16_is_close_to_fp32(model, restorer):
    wave = noise(5000)
    coarse = Restorer(model, device="cpu", precision="bf16")
    expected = restorer.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    restored = coarse.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    assert restored.dtype == torch.float32
    assert (restored - expected).norm() < 0.3 * (expected - wave).norm()


def test_restoring_leaves_no_gradients(restorer):
    wave = noise(5000).requires_grad_()
    restored = restorer.restore(wave, RATE, task="inpaint", gaps_s=[GAP])
    assert not restored.requires_grad
    assert all(p.grad is None for p in restorer.model.parameters())
