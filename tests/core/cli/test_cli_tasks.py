"""Tasks beyond bandwidth and gaps, from the command line."""

import numpy as np
import pytest
import soundfile

TASKS = {
    "declip": ({"name": "declip"}, [], "restoring: levels = [0.2"),
    "composite": (
        {"name": "composite", "parts": ["denoise", "bandwidth"]},
        ["--cutoff", "6000"],
        "energy ends at",
    ),
    "continuation": ({"name": "continuation"}, [], "filling 1 gap, 0.5 s in all"),
}


@pytest.fixture
def save(tmp_path, composition):
    """Write the folder of a tiny model of a corruption."""
    import torch

    from a2sb_core.config.loading import validate
    from a2sb_core.config.model import ModelConfig
    from a2sb_core.models.folder import save_model
    from a2sb_core.models.model import Model

    def make(corruption):
        fields = {"corruption": corruption, "prediction": {"name": "paper", "tell": "known"}}
        torch.manual_seed(0)
        model = Model(validate(ModelConfig, composition | fields, "tiny"))
        return save_model(model, tmp_path / "model")

    return make


def test_what_is_known_of_any_damage_can_be_given(save, tmp_path, a2sb, fails):
    wave = 0.1 * np.random.default_rng(0).standard_normal(9000).clip(-1, 1)
    soundfile.write(tmp_path / "in.wav", wave, 44100, "FLOAT")
    given = (
        "restore",
        tmp_path / "in.wav",
        "-o",
        tmp_path / "out.wav",
        "--task",
        "declip",
        "--model",
        save({"name": "declip"}),
        "--parameter",
    )
    fails(a2sb(*given, "drive=6"), "drive", "its parameters: levels")
    fails(a2sb(*given, "drive_db=-1"), "drive_db", "greater than or equal to 0")
    fails(a2sb(*given, "drive_db=6"), "does not use the parameter `drive_db`", "it uses: levels")
    fails(a2sb(*given, "drive_db"), "`drive_db` is not NAME=VALUE", code=2)
    done = a2sb(*given, "levels=[0.2]")
    assert done.exit_code == 0, done.stderr
    assert "restoring: levels = [0.2]" in done.stdout


@pytest.mark.parametrize("task", TASKS)
def test_a_file_is_restored_by_a_model_of_the_task(task, save, tmp_path, a2sb):
    corruption, options, said = TASKS[task]
    wave = 0.1 * np.random.default_rng(0).standard_normal((44100, 2))
    wave[22050:] *= task != "continuation"
    wave = wave.clip(-0.2, 0.2) if task == "declip" else wave
    soundfile.write(tmp_path / "in.wav", wave, 44100, "FLOAT")
    done = a2sb(
        "restore",
        tmp_path / "in.wav",
        "-o",
        tmp_path / "out.wav",
        "--task",
        task,
        "--model",
        save(corruption),
        *options,
    )
    assert done.exit_code == 0, done.stderr
    assert said in done.stdout
    out, rate = soundfile.read(tmp_path / "out.wav")
    assert (out.shape, rate) == (wave.shape, 44100)
    assert np.isfinite(out).all()
    kept = np.abs(out - wave) < 1e-6
    assert not kept[23000:].all()
    assert kept[:21000].all() == (task == "continuation")
