import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

RATE = 44100
COMPOSITION = {
    "representation": {"name": "factorized", "n_fft": 256, "hop_length": 64},
    "corruption": {
        "name": "mixture",
        "parts": [{"corruption": "bandwidth"}, {"corruption": "inpainting"}],
    },
    "bridge": "i2sb",
    "prediction": "preconditioned",
    "backbone": {
        "name": "rope_unet", "widths": [32, 32], "attention_levels": [], "heads": 2,
        "res_blocks": 1, "groups": 8, "patch": 4, "dropout": 0.0,
    },
    "sampler": {
        "name": "multidiffusion", "window": 64, "hop": 32, "batch": 16,
        "inner": {"name": "implicit", "steps": 2},
    },
    "loudness_dbfs": -20.0,
}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    import torch

    from a2sb_core.config.load import validate
    from a2sb_core.config.run import ModelConfig
    from a2sb_core.engine.checkpoint import save_model
    from a2sb_core.engine.model import Model

    torch.manual_seed(0)
    model = Model(validate(ModelConfig, COMPOSITION, "tiny"))
    model.prediction.fit(model.representation.encode(0.1 * torch.randn(4, RATE)))
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def composition():
    return json.loads(json.dumps(COMPOSITION))


@pytest.fixture
def a2sb():
    """Run the command line; the result has exit_code, stdout and stderr, and never a traceback."""
    from a2sb_core.cli import app

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        assert "Traceback" not in result.output
        return SimpleNamespace(
            exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr
        )

    return run


@pytest.fixture
def restore(a2sb, model_folder):
    """Run `a2sb restore` with the tiny model; an input never changes, and no scrap is left."""

    def run(source, target, *arguments, task="bandwidth"):
        folders = {Path(source).parent, Path(target).parent}
        before = {folder: _contents(folder) for folder in folders}
        result = a2sb(
            "restore", source, "-o", target, "--task", task, "--model", model_folder,
            "--device", "cpu", *arguments,
        )
        for folder, contents in before.items():
            after = _contents(folder)
            changed = {name for name in after if after[name] != contents.get(name)}
            written = {Path(target).name} if result.exit_code == 0 else set()
            assert Path(target).is_dir() or changed <= written
            assert contents.keys() <= after.keys()
        return result

    return run


def _contents(folder):
    if not folder.is_dir():
        return {}
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir() if path.is_file()
    }


@pytest.fixture
def fails():
    """Check that a result is an error of one paragraph that holds all the given words."""

    def check(result, *words, code=1):
        assert result.exit_code == code, (result.stdout, result.stderr)
        assert result.stdout == ""
        text = " ".join(result.stderr.replace("│", " ").split())
        assert "unexpected" not in text
        assert "\n\n" not in result.stderr.strip()
        for word in words:
            assert word in text, text

    return check


@pytest.fixture
def music():
    """Make noise with a beat, (samples, channels), full band or low-passed at ``cutoff_hz``."""

    def make(duration_s=1.5, channels=2, rate=RATE, cutoff_hz=None, seed=0):
        samples = round(duration_s * rate)
        rng = np.random.default_rng(seed)
        beat = 0.6 + 0.4 * np.sin(2 * np.pi * 2 * np.arange(samples) / rate)
        wave = 0.1 * rng.standard_normal((samples, channels)) * beat[:, None]
        if cutoff_hz is not None:
            spectrum = np.fft.rfft(wave, axis=0)
            spectrum[np.fft.rfftfreq(samples, 1 / rate) > cutoff_hz] = 0
            wave = np.fft.irfft(spectrum, samples, axis=0)
        return wave

    return make


@pytest.fixture
def low_file(tmp_path, music):
    """Return a stereo file whose energy ends at 4 kHz."""
    path = tmp_path / "low.wav"
    soundfile.write(path, music(cutoff_hz=4000), RATE, subtype="PCM_16")
    return path
