import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from tiny_model import composition, save_tiny
from typer.testing import CliRunner

RATE = 44100


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(name="composition")
def _composition():
    return composition()


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
            "restore",
            source,
            "-o",
            target,
            "--task",
            task,
            "--model",
            model_folder,
            "--device",
            "cpu",
            *arguments,
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
        for path in folder.iterdir()
        if path.is_file()
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


@pytest.fixture
def collection(tmp_path, music):
    """Write short files of low bandwidth in a folder with a sub-folder."""

    def make(count, duration_s=0.2):
        for i in range(count):
            path = tmp_path / "music" / ("deep" if i % 3 == 2 else ".") / f"{i:03d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, music(duration_s, 1, cutoff_hz=4000, seed=i), RATE)
        return tmp_path / "music"

    return make
