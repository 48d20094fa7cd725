"""Where everything may change, a recording is restored block by block as in one piece."""

import math

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, model_config, noise, train_config, write_audio
from test_restorer import windows
from test_streaming import noise_of

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import Item
from a2sb_core.models.model import Model
from a2sb_core.restoration.listener import ProgressListener
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.restoration.streaming import DECODED_FRAMES
from a2sb_core.training.trainer import Trainer

STRIDE = 64
LONG = STRIDE * (2 * DECODED_FRAMES + 37) + 11
PAPER = {"name": "paper", "tell": "known"}
MDCT = {"name": "mdct", "rows": 64}
EACH = pytest.mark.parametrize(
    ("representation", "inner"),
    [
        ({"name": "complex_stft", "n_fft": 256, "hop_length": 64}, {"name": "ode", "steps": 2}),
        (MDCT, {"name": "ancestral", "steps": 2}),
    ],
)


def denoiser(**changes):
    """A restorer with random weights."""
    fields = {"corruption": "denoise", "prediction": PAPER, "loudness_dbfs": -20.0}
    torch.manual_seed(0)
    model = Model(model_config(**fields | changes))
    return Restorer(model, device="cpu", precision="fp32")


def whole(restorer, wave, seed=0):
    """Restore in one piece, step by step, a recording of which all may change."""
    model, representation = restorer.model, restorer.model.representation
    plan = restorer.prepare([wave], RATE, task=model.corruption.task).plan
    gain = plan.gains.float()[:, None]
    z = representation.encode(wave * gain)
    drawn = noise_of(plan, representation, seed)
    item = Item(wave * gain, z, representation)
    degraded = model.corruption.observe(item, model.corruption.Parameters(), drawn)
    assert degraded.missing is None
    with torch.no_grad():
        x0 = model.sampler.sample(model.denoiser(), model.bridge, degraded, drawn)
        x0 = representation.project(x0)
        change = representation.decode(x0, wave.shape[-1]) - representation.decode(
            z, wave.shape[-1]
        )
    return wave + torch.where(gain != 0, change / gain, 0)


def assert_same(restored, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-5 * scale)


@EACH
@pytest.mark.parametrize("length", [LONG, STRIDE * DECODED_FRAMES, STRIDE, 1])
def test_a_recording_is_restored_as_in_one_piece(representation, inner, length):
    other = denoiser(representation=representation, sampler=windows(inner=inner))
    wave = noise(length, 2)
    restored = other.restore(wave, RATE, task="denoise")
    assert restored.shape == wave.shape
    assert_same(restored, whole(other, wave))
    assert not torch.equal(restored, wave)


@EACH
def test_neither_blocks_nor_what_is_skipped_change_anything(representation, inner):
    other = denoiser(representation=representation, sampler=windows(inner=inner))
    wave, skip = noise(LONG), 40_000
    expected = other.restore(wave, RATE, task="denoise")
    restoration = other.prepare(wave.split(3000, dim=-1), RATE, task="denoise")
    assert torch.equal(torch.cat(list(restoration.run()), dim=-1), expected)
    assert torch.equal(torch.cat(list(restoration.run(skip)), dim=-1), expected[:, skip:])


def test_an_untrained_network_of_no_output_leaves_the_recording_alone():
    """The bridge starts from the damaged signal itself, with no noise."""
    other = denoiser(sampler=windows(inner={"name": "ode", "steps": 1}))
    other.model.prediction.denoise = lambda network, bridge, state: state.xt
    wave = noise(20_000)
    assert_same(other.restore(wave, RATE, task="denoise"), wave)


def test_a_file_of_another_rate_keeps_its_rate_and_length(tmp_path):
    other = denoiser()
    soundfile.write(tmp_path / "in.wav", noise(9001, 2).numpy().T, 22_050)
    found = other.restore_file(tmp_path / "in.wav", tmp_path / "out.wav", task="denoise")
    assert found.parameters.snr_db is None
    out, rate = soundfile.read(tmp_path / "out.wav")
    assert (out.shape, rate) == ((9001, 2), 22_050)


@pytest.mark.parametrize(
    ("corruption", "representation"),
    [
        ({"name": "declip"}, MDCT),
        ({"name": "denoise"}, {"name": "complex_stft", "n_fft": 256, "hop_length": 64}),
        ({"name": "dereverb", "low_s": 0.05, "high_s": 0.1}, MDCT),
        ({"name": "codec", "codecs": ["vorbis"]}, MDCT),
        ({"name": "composite", "parts": ["denoise", "bandwidth"]}, MDCT),
        ({"name": "continuation", "low_s": 0.002, "high_s": 0.01}, MDCT),
        (
            {"name": "mixture", "parts": [{"corruption": "denoise"}, {"corruption": "bandwidth"}]},
            MDCT,
        ),
    ],
    ids=lambda value: value["name"],
)
def test_every_task_is_trained_and_then_restores(corruption, representation, tmp_path):
    write_audio(tmp_path / "audio")
    model = model_config(corruption=corruption, representation=representation, prediction=PAPER)
    Trainer(train_config(tmp_path, model=model, steps=2)).run()
    trained = Restorer.from_pretrained(tmp_path / "run" / "model", device="cpu")
    wave = noise(5000, 2).clamp(-0.3, 0.3)
    wave[:, 2500:] = 0 if corruption["name"] == "continuation" else wave[:, 2500:]
    for task in trained.model.corruption.tasks():
        given = {"cutoff_hz": 5000.0} if task == "bandwidth" else {}
        restored = trained.restore(wave, RATE, task=task, **given)
        assert restored.shape == wave.shape
        assert np.isfinite(restored.numpy()).all()
        assert not torch.equal(restored, wave)


def test_a_composite_with_bandwidth_extends_a_file_of_a_lower_rate(tmp_path):
    composite = {"name": "composite", "parts": ["denoise", "bandwidth"]}
    soundfile.write(tmp_path / "in.wav", noise(9000, 2).numpy().T, 16_000)
    found = denoiser(corruption=composite).restore_file(
        tmp_path / "in.wav", tmp_path / "out.wav", task="composite", cutoff_hz=7000.0
    )
    assert "extending above" in found.describe()
    out, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(out), rate) == (math.ceil(9000 * RATE / 16_000), RATE)
    spectrum = np.abs(np.fft.rfft(out[:, 0]))
    above = spectrum[int(8500 * len(out) / RATE) :]
    assert above.mean() > 1e-3 * spectrum.mean()


def test_what_is_known_of_the_damage_is_given_by_name():
    other, wave = denoiser(corruption="declip"), noise(LONG)
    found = other.inspect(wave, RATE, task="declip", levels=[0.5])
    assert found.parameters.levels == (0.5,)
    with pytest.deprecated_call():
        assert other.inspect(wave, RATE, task="declip", parameters={"levels": [0.5]}) == found
    with pytest.raises(TaskError, match=r"level: .*levels"):
        other.restore(wave, RATE, task="declip", level=6.0)


def test_samples_that_were_not_clipped_stay_to_the_bit(tmp_path):
    """At another rate than the model's too, for nothing is resampled on its way to the result."""
    other, wave = denoiser(corruption="declip"), noise(30_000, 2).clamp(-0.2, 0.1)
    soundfile.write(tmp_path / "in.wav", wave.numpy().T, 48_000, subtype="FLOAT")
    other.restore_file(tmp_path / "in.wav", tmp_path / "out.wav", task="declip")
    restored = torch.from_numpy(soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T)
    cut = wave.abs() >= 0.2 * (1 - 1e-3)
    assert torch.equal(restored[~cut], wave[~cut])
    assert (restored[cut] <= wave[cut]).all()
    assert not torch.equal(restored, wave)


def test_a_composite_restores_clipping_to_the_bit_at_any_rate():
    other = denoiser(corruption={"name": "composite", "parts": ["declip", "inpainting"]})
    wave = noise(30_000, 2).clamp(-0.2, 0.1)
    wave[:, 9000:9400] = torch.nan
    restored = other.restore(wave, 48_000, task="composite")
    kept = (wave > -0.199) & (wave < 0.099)
    kept[:, 8990:9410] = False
    assert torch.equal(restored[kept], wave[kept])
    assert restored.isfinite().all()
    assert float(restored[:, 9000:9400].abs().max()) > 1e-4


def test_a_composite_extends_a_low_rate_to_that_of_the_model(tmp_path):
    parts = ["denoise", "bandwidth"]
    other = denoiser(corruption={"name": "composite", "parts": parts})
    soundfile.write(tmp_path / "in.wav", noise(16_000).numpy().T, 16_000)
    found = other.restore_file(tmp_path / "in.wav", tmp_path / "out.wav", task="composite")
    assert found.parameters.present == tuple(parts)
    about = soundfile.info(tmp_path / "out.wav")
    assert (about.samplerate, about.frames) == (RATE, RATE)


def test_a_sampler_without_windows_is_given_the_whole_recording():
    inner = {"name": "ancestral", "steps": 2}
    plain, seen, wave = denoiser(sampler=inner), [], noise(20_000)
    listener = ProgressListener(lambda done, of: seen.append((done, of)))
    restored = plain.restore(wave, RATE, task="denoise", listener=listener)
    assert_same(restored, whole(plain, wave))
    assert seen[-1][0] == seen[-1][1] > 0
