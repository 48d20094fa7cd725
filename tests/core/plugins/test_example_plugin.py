"""The plugins under examples/, as a stranger would use them: built, installed, trained, used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from environments import Environment
from site_helpers import write_distribution

from a2sb_core.config.loading import load_config
from a2sb_core.config.training import TrainConfig
from a2sb_core.models.model import Model
from a2sb_core.testing import laws

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[3] / "examples"
EXAMPLE = EXAMPLES / "plugin"
PACKAGES = {
    "plugin": ("a2sb_declip", "declip", "clipping"),
    "bit_depth": ("a2sb_bit_depth", "bit_depth", "bit_depth"),
    "mono_collapse": ("a2sb_mono_collapse", "mono_collapse", "mono_collapse"),
    "hum": ("a2sb_hum", EXAMPLES / "hum" / "hum.yaml", "hum"),
    "packet_loss": ("a2sb_packet_loss", "packet_loss", "packet_loss"),
    "wow_flutter": ("a2sb_wow_flutter", "wow_flutter", "wow_flutter"),
}
"""Package, settings and corruption of each example, by its folder."""
EACH = pytest.mark.parametrize("folder", PACKAGES)
RATE = 44100
SMALL = [
    "model.representation={name: complex_stft, n_fft: 512, hop_length: 128}",
    "model.backbone={name: rope_unet, widths: [32, 32], attention_levels: [], heads: 2, groups: 8}",
    "model.sampler={name: multidiffusion, window: 32, hop: 16, inner: {name: ode, steps: 2}}",
    "data={source: music, frames: 32, workers: 0, validation_files: 1}",
    "steps=4",
    "batch_size=2",
    "device=cpu",
]


@EACH
def test_it_is_short(folder):
    package = EXAMPLES / folder / PACKAGES[folder][0]
    lengths = [len(path.read_text().splitlines()) for path in package.rglob("*.py")]
    assert len(lengths) == 3
    assert max(lengths) <= 60


@EACH
def test_it_obeys_the_contract_and_its_settings_are_valid(folder, site, pytester, monkeypatch):
    package, preset, corruption = PACKAGES[folder]
    source = f"from {package}.plugin import A2SB_API_VERSION, a2sb_register\n"
    write_distribution(site, f"{corruption}-of-the-example".replace("_", "-"), source)
    monkeypatch.syspath_prepend(str(EXAMPLES / folder))
    config = load_config(TrainConfig, preset, ["data.source=music"])
    assert config.model.corruption.name == corruption
    assert Model(config.model).corruption.tasks()
    count = len(laws("corruption"))  # before pytester forgets the modules that its run imports
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", EXAMPLES / folder / "tests")
    outcomes = done.parseoutcomes()
    assert outcomes.keys() <= {"passed", "warnings"}
    assert outcomes["passed"] > count


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "environment")


@pytest.mark.slow
def test_wheel_installs_trains_and_restores(environment, tmp_path):
    source = shutil.copytree(EXAMPLE, tmp_path / "source", ignore=shutil.ignore_patterns("build"))
    environment.run("pip", "wheel", "--wheel-dir", tmp_path, source)
    (wheel,) = tmp_path.glob("a2sb_declip-0.1.0-*.whl")
    environment.run("pip", "install", wheel)
    shutil.rmtree(source / "a2sb_declip")  # what is used from here on is what was installed
    listed = json.loads(environment.run("a2sb", "plugins", "list", "--json"))["components"]
    (clipping,) = (part for part in listed if part["name"] == "clipping")
    assert (clipping["distribution"], clipping["version"]) == ("a2sb-declip", "0.1.0")
    environment.run("pytest", "-p", "no:cacheprovider", "tests", cwd=source)
    count = len(laws("corruption")) + 1
    checked = environment.run("a2sb", "plugins", "check", "a2sb-declip")
    assert checked.endswith(f"{count} of {count} checks passed\n")

    music, clipped = write_audio(tmp_path)
    sets = [part for one in SMALL for part in ("--set", one)]
    environment.run(
        "a2sb",
        "train",
        "declip",
        *sets,
        "--set",
        f"data.source={music}",
        "--set",
        f"output={tmp_path / 'run'}",
        "--quiet",
    )
    model = tmp_path / "run" / "model"
    assert json.loads((model / "config.json").read_text())["parts"]["corruption"] == (
        "a2sb-declip 0.1.0"
    )
    restored = tmp_path / "restored.wav"
    environment.run(
        "a2sb",
        "restore",
        clipped,
        "-o",
        restored,
        "--task",
        "declip",
        "--model",
        model,
        "--device",
        "cpu",
    )
    before, after = soundfile.read(clipped)[0], soundfile.read(restored)[0]
    assert after.shape == before.shape
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 1e-3


def write_audio(folder):
    """Write files to train with, and one that is clipped; returns their folder, and the one."""
    rng = np.random.default_rng(0)
    music = folder / "music"
    music.mkdir()
    for k in range(3):
        soundfile.write(music / f"{k}.wav", 0.1 * rng.standard_normal(RATE), RATE)
    clipped = folder / "clipped.wav"
    soundfile.write(clipped, np.clip(0.3 * rng.standard_normal((RATE, 2)), -0.4, 0.4), RATE)
    return music, clipped
